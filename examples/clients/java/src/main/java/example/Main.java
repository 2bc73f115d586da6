package example;

import com.google.protobuf.ByteString;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import sluice.v1.Model.ModelConfiguration;
import sluice.v1.Model.ModelStatus;
import sluice.v1.ModelServiceGrpc;
import sluice.v1.ModelServiceOuterClass.ConfigureModelRequest;
import sluice.v1.ModelServiceOuterClass.DeleteConfigurationRequest;
import sluice.v1.ModelServiceOuterClass.InferRequest;
import sluice.v1.ModelServiceOuterClass.ListConfigurationsRequest;
import sluice.v1.ModelServiceOuterClass.ListLoadedModelsRequest;
import sluice.v1.ModelServiceOuterClass.LoadModelRequest;
import sluice.v1.ModelServiceOuterClass.StreamInferRequest;
import sluice.v1.ModelServiceOuterClass.UnloadModelRequest;
import sluice.v1.ModelServiceOuterClass.WatchLoadRequest;
import sluice.v1.Passthrough.HttpHeader;
import sluice.v1.Passthrough.HttpRequestHead;
import sluice.v1.Passthrough.PassthroughEndpoint;
import sluice.v1.PassthroughServiceGrpc;
import sluice.v1.PassthroughServiceOuterClass.CreateEndpointRequest;
import sluice.v1.PassthroughServiceOuterClass.DeleteEndpointRequest;
import sluice.v1.PassthroughServiceOuterClass.FetchRequest;
import sluice.v1.PassthroughServiceOuterClass.FetchResponse;
import sluice.v1.PassthroughServiceOuterClass.ForwardRequest;
import sluice.v1.PassthroughServiceOuterClass.ForwardResponse;

/**
 * What a gRPC client in Java does with Sluice, from a model's configuration to its removal:
 *
 * <pre>SLUICE_URL=http://localhost:4000 SLUICE_KEY=sk-1234 mvn -q compile exec:java \
 *     -Dexec.args="http://localhost:8000 my-model"</pre>
 *
 * The arguments are a vLLM server and the name of a model that it serves.
 */
public final class Main {
  private static final String MODEL_ID = "example";
  private static final String PROMPT = "What is the capital of France?";

  public static void main(String[] args) throws Exception {
    if (args.length != 2) throw new IllegalArgumentException("usage: Main <vLLM URL> <model>");
    URI url = URI.create(System.getenv().getOrDefault("SLUICE_URL", "http://localhost:4000"));
    // The key goes with every call.
    Metadata key = new Metadata();
    key.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
        "Bearer " + System.getenv().getOrDefault("SLUICE_KEY", "anything"));
    // gRPC wants host and port, without a scheme.
    ManagedChannel channel =
        Grpc.newChannelBuilder(url.getAuthority(), InsecureChannelCredentials.create())
            .intercept(MetadataUtils.newAttachHeadersInterceptor(key))
            .build();
    try {
      run(channel, args[0], args[1]);
    } finally {
      channel.shutdownNow();
    }
  }

  private static void run(ManagedChannel channel, String vllmUrl, String modelName) throws Exception {
    var models = ModelServiceGrpc.newBlockingStub(channel);

    String configId =
        models
            .configureModel(
                ConfigureModelRequest.newBuilder()
                    .setModelId(MODEL_ID)
                    .setModelName(modelName)
                    .setModelType("vllm")
                    .setModelKwargs(struct(Map.of("api_base", text(vllmUrl), "temperature", number(0))))
                    .build())
            .getConfigId();
    System.out.println("configured: " + MODEL_ID);

    // LoadModel answers when the model is ready; WatchLoad tells how far it is meanwhile.
    var loading =
        ModelServiceGrpc.newFutureStub(channel)
            .loadModel(LoadModelRequest.newBuilder().setConfigId(configId).build());
    System.out.println("watched: " + watchUntilLoaded(models, configId));
    System.out.println("loaded: " + loading.get().getMessage());
    System.out.println(
        "loaded models: "
            + String.join(
                ", ",
                models.listLoadedModels(ListLoadedModelsRequest.getDefaultInstance()).getModelIdsList()));

    Struct kwargs = struct(Map.of("max_tokens", number(32)));
    var answer =
        models.infer(
            InferRequest.newBuilder()
                .setModelId(MODEL_ID)
                .setPrompt(PROMPT)
                .setInferenceKwargs(kwargs)
                .build());
    System.out.println("inferred: " + answer.getResponse());

    var streamed = new StringBuilder();
    models
        .streamInfer(
            StreamInferRequest.newBuilder()
                .setModelId(MODEL_ID)
                .setPrompt(PROMPT)
                .setInferenceKwargs(kwargs)
                .build())
        .forEachRemaining(piece -> streamed.append(piece.getResponse()));
    System.out.println("streamed: " + streamed);

    System.out.println(
        "configurations: "
            + models
                .listConfigurations(ListConfigurationsRequest.getDefaultInstance())
                .getConfigurationsList()
                .stream()
                .map(ModelConfiguration::getModelId)
                .collect(Collectors.joining(", ")));

    passThrough(channel, vllmUrl, modelName);

    // A refused call has a code, and a message that says what to do.
    try {
      models.loadModel(LoadModelRequest.newBuilder().setConfigId("no-such-configuration").build());
    } catch (StatusRuntimeException refused) {
      var status = refused.getStatus();
      System.out.println("refused: " + status.getCode() + ": " + status.getDescription());
    }

    var unloaded = models.unloadModel(UnloadModelRequest.newBuilder().setModelId(MODEL_ID).build());
    System.out.println("unloaded: " + unloaded.getMessage());
    var deleted =
        models.deleteConfiguration(
            DeleteConfigurationRequest.newBuilder().setConfigId(configId).build());
    System.out.println("deleted: " + deleted.getDetail());
  }

  /** Follows the load to its end; returns how far it came. */
  private static String watchUntilLoaded(ModelServiceGrpc.ModelServiceBlockingStub models, String configId)
      throws InterruptedException {
    while (true) {
      ModelStatus last = ModelStatus.getDefaultInstance();
      var watch = models.watchLoad(WatchLoadRequest.newBuilder().setConfigId(configId).build());
      while (watch.hasNext()) last = watch.next().getStatus();
      switch (last.getState()) {
        case MODEL_STATE_READY:
          return "ready at " + last.getPercent() + "%";
        case MODEL_STATE_FAILED:
          return "failed: " + last.getFailure();
        default:
          // The watch came before the load had begun.
          Thread.sleep(50);
      }
    }
  }

  /** Makes a route of our own and calls it: everything below /example-vllm goes to the vLLM server as it is. */
  private static void passThrough(ManagedChannel channel, String vllmUrl, String modelName) throws Exception {
    var passthrough = PassthroughServiceGrpc.newBlockingStub(channel);
    PassthroughEndpoint endpoint =
        passthrough
            .createEndpoint(
                CreateEndpointRequest.newBuilder()
                    .setPath("/example-vllm")
                    .setTarget(vllmUrl)
                    .setIncludeSubpath(true)
                    .build())
            .getEndpoints(0);
    System.out.println("created: " + endpoint.getPath());

    // Fetch takes the whole request in one message and streams the response.
    Iterator<FetchResponse> parts =
        passthrough.fetch(
            FetchRequest.newBuilder()
                .setHead(HttpRequestHead.newBuilder().setMethod("GET").setPath("/example-vllm/version"))
                .build());
    var fetched = new Response();
    parts.forEachRemaining(
        part -> {
          if (part.hasHead()) fetched.status = part.getHead().getStatus();
          fetched.body.writeBytes(part.getChunk().toByteArray());
        });
    System.out.println("fetched: " + fetched);

    // Forward streams the request as well.
    var forwarded = new ResponseObserver();
    StreamObserver<ForwardRequest> request = PassthroughServiceGrpc.newStub(channel).forward(forwarded);
    request.onNext(
        ForwardRequest.newBuilder()
            .setHead(
                HttpRequestHead.newBuilder()
                    .setMethod("POST")
                    .setPath("/example-vllm/tokenize")
                    .addHeaders(
                        HttpHeader.newBuilder().setName("content-type").setValue("application/json")))
            .build());
    String json = "{\"model\": \"" + modelName + "\", \"prompt\": \"Hello, world!\"}";
    ByteString body = ByteString.copyFromUtf8(json);
    request.onNext(ForwardRequest.newBuilder().setChunk(body.substring(0, 10)).build());
    request.onNext(ForwardRequest.newBuilder().setChunk(body.substring(10)).build());
    request.onCompleted();
    System.out.println("forwarded: " + forwarded.done.get());

    passthrough.deleteEndpoint(DeleteEndpointRequest.newBuilder().setEndpointId(endpoint.getId()).build());
  }

  /** Status and body of a response that comes in parts. */
  private static final class Response {
    int status;
    final ByteArrayOutputStream body = new ByteArrayOutputStream();

    @Override
    public String toString() {
      return status + " " + body.toString(StandardCharsets.UTF_8);
    }
  }

  /** Collects what Forward sends back, as it comes. */
  private static final class ResponseObserver implements StreamObserver<ForwardResponse> {
    final CompletableFuture<Response> done = new CompletableFuture<>();
    private final Response response = new Response();

    @Override
    public void onNext(ForwardResponse part) {
      if (part.hasHead()) response.status = part.getHead().getStatus();
      response.body.writeBytes(part.getChunk().toByteArray());
    }

    @Override
    public void onError(Throwable error) {
      done.completeExceptionally(error);
    }

    @Override
    public void onCompleted() {
      done.complete(response);
    }
  }

  private static Struct struct(Map<String, Value> fields) {
    return Struct.newBuilder().putAllFields(fields).build();
  }

  private static Value text(String value) {
    return Value.newBuilder().setStringValue(value).build();
  }

  private static Value number(double value) {
    return Value.newBuilder().setNumberValue(value).build();
  }
}
