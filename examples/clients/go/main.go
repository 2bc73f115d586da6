// What a Connect client in Go does with Sluice, from a model's configuration to its removal:
//
//	SLUICE_URL=http://localhost:4000 SLUICE_KEY=sk-1234 go run . http://localhost:8000 my-model
//
// The arguments are a vLLM server and the name of a model that it serves.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	sluicev1 "example.com/sluice-client/gen/sluice/v1"
	"example.com/sluice-client/gen/sluice/v1/sluicev1connect"
)

const (
	modelID = "example"
	prompt  = "What is the capital of France?"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: main <vLLM URL> <model>")
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, vllmURL, modelName string) error {
	url := cmp.Or(os.Getenv("SLUICE_URL"), "http://localhost:4000")
	// connect.WithGRPC() would speak gRPC instead; nothing else changes.
	options := connect.WithInterceptors(withKey(cmp.Or(os.Getenv("SLUICE_KEY"), "anything")))
	models := sluicev1connect.NewModelServiceClient(httpClient(), url, options)
	passthrough := sluicev1connect.NewPassthroughServiceClient(httpClient(), url, options)

	kwargs, err := structpb.NewStruct(map[string]any{"api_base": vllmURL, "temperature": 0})
	if err != nil {
		return err
	}
	configured, err := models.ConfigureModel(ctx, connect.NewRequest(&sluicev1.ConfigureModelRequest{
		ModelId: modelID, ModelName: modelName, ModelType: "vllm", ModelKwargs: kwargs,
	}))
	if err != nil {
		return err
	}
	configID := configured.Msg.GetConfigId()
	fmt.Println("configured:", modelID)

	// LoadModel answers when the model is ready; WatchLoad tells how far it is meanwhile.
	loading := make(chan error, 1)
	var loaded *connect.Response[sluicev1.LoadModelResponse]
	go func() {
		var err error
		loaded, err = models.LoadModel(ctx, connect.NewRequest(&sluicev1.LoadModelRequest{ConfigId: configID}))
		loading <- err
	}()
	progress, err := watchUntilLoaded(ctx, models, configID)
	if err != nil {
		return err
	}
	fmt.Println("watched:", progress)
	if err := <-loading; err != nil {
		return err
	}
	fmt.Println("loaded:", loaded.Msg.GetMessage())

	list, err := models.ListLoadedModels(ctx, connect.NewRequest(&sluicev1.ListLoadedModelsRequest{}))
	if err != nil {
		return err
	}
	fmt.Println("loaded models:", strings.Join(list.Msg.GetModelIds(), ", "))

	if err := infer(ctx, models); err != nil {
		return err
	}

	all, err := models.ListConfigurations(ctx, connect.NewRequest(&sluicev1.ListConfigurationsRequest{}))
	if err != nil {
		return err
	}
	var ids []string
	for _, configuration := range all.Msg.GetConfigurations() {
		ids = append(ids, configuration.GetModelId())
	}
	fmt.Println("configurations:", strings.Join(ids, ", "))

	if err := passThrough(ctx, passthrough, vllmURL, modelName); err != nil {
		return err
	}

	// A refused call has a code, and a message that says what to do.
	_, err = models.LoadModel(ctx, connect.NewRequest(&sluicev1.LoadModelRequest{ConfigId: "no-such-configuration"}))
	var refusal *connect.Error
	if !errors.As(err, &refusal) {
		return fmt.Errorf("expected a refusal, got %w", err)
	}
	fmt.Printf("refused: %s: %s\n", refusal.Code(), refusal.Message())

	unloaded, err := models.UnloadModel(ctx, connect.NewRequest(&sluicev1.UnloadModelRequest{ModelId: modelID}))
	if err != nil {
		return err
	}
	fmt.Println("unloaded:", unloaded.Msg.GetMessage())
	deleted, err := models.DeleteConfiguration(ctx, connect.NewRequest(&sluicev1.DeleteConfigurationRequest{ConfigId: configID}))
	if err != nil {
		return err
	}
	fmt.Println("deleted:", deleted.Msg.GetDetail())
	return nil
}

// watchUntilLoaded follows the load to its end and returns how far it came.
func watchUntilLoaded(ctx context.Context, models sluicev1connect.ModelServiceClient, configID string) (string, error) {
	for {
		watch, err := models.WatchLoad(ctx, connect.NewRequest(&sluicev1.WatchLoadRequest{ConfigId: configID}))
		if err != nil {
			return "", err
		}
		var last *sluicev1.ModelStatus
		for watch.Receive() {
			last = watch.Msg().GetStatus()
		}
		if err := errors.Join(watch.Err(), watch.Close()); err != nil {
			return "", err
		}
		switch last.GetState() {
		case sluicev1.ModelState_MODEL_STATE_READY:
			return fmt.Sprintf("ready at %d%%", last.GetPercent()), nil
		case sluicev1.ModelState_MODEL_STATE_FAILED:
			return "", errors.New(last.GetFailure())
		default:
			// The watch came before the load had begun.
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// infer asks the model, once for the whole answer and once for the answer as it is made.
func infer(ctx context.Context, models sluicev1connect.ModelServiceClient) error {
	kwargs, err := structpb.NewStruct(map[string]any{"max_tokens": 32})
	if err != nil {
		return err
	}
	answer, err := models.Infer(ctx, connect.NewRequest(&sluicev1.InferRequest{
		ModelId: modelID, Prompt: prompt, InferenceKwargs: kwargs,
	}))
	if err != nil {
		return err
	}
	fmt.Println("inferred:", answer.Msg.GetResponse())

	stream, err := models.StreamInfer(ctx, connect.NewRequest(&sluicev1.StreamInferRequest{
		ModelId: modelID, Prompt: prompt, InferenceKwargs: kwargs,
	}))
	if err != nil {
		return err
	}
	defer stream.Close()
	var streamed strings.Builder
	for stream.Receive() {
		streamed.WriteString(stream.Msg().GetResponse())
	}
	fmt.Println("streamed:", streamed.String())
	return stream.Err()
}

// passThrough makes a route of our own and calls it: everything below /example-vllm goes to the vLLM server as it is.
func passThrough(ctx context.Context, client sluicev1connect.PassthroughServiceClient, vllmURL, modelName string) error {
	subpath := true
	created, err := client.CreateEndpoint(ctx, connect.NewRequest(&sluicev1.CreateEndpointRequest{
		Path: "/example-vllm", Target: vllmURL, IncludeSubpath: &subpath,
	}))
	if err != nil {
		return err
	}
	endpoint := created.Msg.GetEndpoints()[0]
	fmt.Println("created:", endpoint.GetPath())

	// Fetch takes the whole request in one message and streams the response.
	fetch, err := client.Fetch(ctx, connect.NewRequest(&sluicev1.FetchRequest{
		Head: &sluicev1.HttpRequestHead{Method: http.MethodGet, Path: "/example-vllm/version"},
	}))
	if err != nil {
		return err
	}
	defer fetch.Close()
	var status int32
	var body []byte
	for fetch.Receive() {
		if head := fetch.Msg().GetHead(); head != nil {
			status = head.GetStatus()
		}
		body = append(body, fetch.Msg().GetChunk()...)
	}
	if err := fetch.Err(); err != nil {
		return err
	}
	fmt.Println("fetched:", status, string(body))

	if err := forward(ctx, client, modelName); err != nil {
		return err
	}
	_, err = client.DeleteEndpoint(ctx, connect.NewRequest(&sluicev1.DeleteEndpointRequest{EndpointId: endpoint.GetId()}))
	return err
}

// forward streams the request as well as the response.
func forward(ctx context.Context, client sluicev1connect.PassthroughServiceClient, modelName string) error {
	request, err := json.Marshal(map[string]string{"model": modelName, "prompt": "Hello, world!"})
	if err != nil {
		return err
	}
	call := client.Forward(ctx)
	parts := []*sluicev1.ForwardRequest{
		{Part: &sluicev1.ForwardRequest_Head{Head: &sluicev1.HttpRequestHead{
			Method: http.MethodPost, Path: "/example-vllm/tokenize",
			Headers: []*sluicev1.HttpHeader{{Name: "content-type", Value: "application/json"}},
		}}},
		{Part: &sluicev1.ForwardRequest_Chunk{Chunk: request[:10]}},
		{Part: &sluicev1.ForwardRequest_Chunk{Chunk: request[10:]}},
	}
	for _, part := range parts {
		// io.EOF: the gateway has answered already, and Receive has the answer.
		if err := call.Send(part); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if err := call.CloseRequest(); err != nil {
		return err
	}
	var status int32
	var body []byte
	for {
		part, err := call.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if head := part.GetHead(); head != nil {
			status = head.GetStatus()
		}
		body = append(body, part.GetChunk()...)
	}
	fmt.Println("forwarded:", status, string(body))
	return call.CloseResponse()
}

// httpClient speaks HTTP/2, without TLS too: Forward streams both ways.
func httpClient() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}}
}

// withKey sends the key with every call.
type withKey string

func (key withKey) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		request.Header().Set("Authorization", "Bearer "+string(key))
		return next(ctx, request)
	}
}

func (key withKey) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+string(key))
		return conn
	}
}

func (key withKey) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
