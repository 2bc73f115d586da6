"""What a gRPC client in Python does with Sluice, from a model's configuration to its removal:

    SLUICE_URL=http://localhost:4000 SLUICE_KEY=sk-1234 python main.py http://localhost:8000 my-model

The arguments are a vLLM server and the name of a model that it serves.
"""

import json
import os
import sys
import time
from urllib.parse import urlsplit

import grpc

from sluice.v1 import model_pb2, model_service_pb2, model_service_pb2_grpc
from sluice.v1 import passthrough_pb2, passthrough_service_pb2, passthrough_service_pb2_grpc

# The key goes with every call.
KEY = [("authorization", f"Bearer {os.environ.get('SLUICE_KEY', 'anything')}")]
# gRPC wants host and port, without a scheme.
ADDRESS = urlsplit(os.environ.get("SLUICE_URL", "http://localhost:4000")).netloc


def main(vllm_url: str, model_name: str) -> None:
    with grpc.insecure_channel(ADDRESS) as channel:
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        passthrough = passthrough_service_pb2_grpc.PassthroughServiceStub(channel)

        config_id = configure(models, vllm_url, model_name)

        # LoadModel answers when the model is ready; WatchLoad tells how far it is meanwhile.
        loading = models.LoadModel.future(model_service_pb2.LoadModelRequest(config_id=config_id), metadata=KEY)
        print("watched:", watch_until_loaded(models, config_id))
        print("loaded:", loading.result().message)
        loaded = models.ListLoadedModels(model_service_pb2.ListLoadedModelsRequest(), metadata=KEY)
        print("loaded models:", ", ".join(loaded.model_ids))

        infer(models)

        listed = models.ListConfigurations(model_service_pb2.ListConfigurationsRequest(), metadata=KEY)
        print("configurations:", ", ".join(one.model_id for one in listed.configurations))

        pass_through(passthrough, vllm_url, model_name)

        # A refused call has a code, and a message that says what to do.
        try:
            models.LoadModel(model_service_pb2.LoadModelRequest(config_id="no-such-configuration"), metadata=KEY)
        except grpc.RpcError as error:
            print(f"refused: {error.code().name}: {error.details()}")

        unloaded = models.UnloadModel(model_service_pb2.UnloadModelRequest(model_id="example"), metadata=KEY)
        print("unloaded:", unloaded.message)
        deleted = models.DeleteConfiguration(
            model_service_pb2.DeleteConfigurationRequest(config_id=config_id), metadata=KEY
        )
        print("deleted:", deleted.detail)


def configure(models, vllm_url: str, model_name: str) -> str:
    request = model_service_pb2.ConfigureModelRequest(model_id="example", model_name=model_name, model_type="vllm")
    request.model_kwargs.update({"api_base": vllm_url, "temperature": 0})
    config_id = models.ConfigureModel(request, metadata=KEY).config_id
    print("configured: example")
    return config_id


def watch_until_loaded(models, config_id: str) -> str:
    """Follows the load to its end; returns how far it came."""
    while True:
        for update in models.WatchLoad(model_service_pb2.WatchLoadRequest(config_id=config_id), metadata=KEY):
            last = update.status
        if last.state == model_pb2.MODEL_STATE_READY:
            return f"ready at {last.percent}%"
        if last.state == model_pb2.MODEL_STATE_FAILED:
            return f"failed: {last.failure}"
        # The watch came before the load had begun.
        time.sleep(0.05)


def infer(models) -> None:
    """Asks the model, once for the whole answer and once for the answer as it is made."""
    question = {"model_id": "example", "prompt": "What is the capital of France?", "inference_kwargs": {"max_tokens": 32}}
    print("inferred:", models.Infer(model_service_pb2.InferRequest(**question), metadata=KEY).response)
    pieces = models.StreamInfer(model_service_pb2.StreamInferRequest(**question), metadata=KEY)
    print("streamed:", "".join(piece.response for piece in pieces))


def pass_through(passthrough, vllm_url: str, model_name: str) -> None:
    """Makes a route of our own and calls it: everything below /example-vllm goes to the vLLM server as it is."""
    created = passthrough.CreateEndpoint(
        passthrough_service_pb2.CreateEndpointRequest(path="/example-vllm", target=vllm_url, include_subpath=True),
        metadata=KEY,
    )
    endpoint = created.endpoints[0]
    print("created:", endpoint.path)

    # Fetch takes the whole request in one message and streams the response.
    head = passthrough_pb2.HttpRequestHead(method="GET", path="/example-vllm/version")
    print("fetched:", read_response(passthrough.Fetch(passthrough_service_pb2.FetchRequest(head=head), metadata=KEY)))

    # Forward streams the request as well.
    def request():
        body = json.dumps({"model": model_name, "prompt": "Hello, world!"}).encode()
        content_type = passthrough_pb2.HttpHeader(name="content-type", value="application/json")
        yield passthrough_service_pb2.ForwardRequest(
            head=passthrough_pb2.HttpRequestHead(method="POST", path="/example-vllm/tokenize", headers=[content_type])
        )
        yield passthrough_service_pb2.ForwardRequest(chunk=body[:10])
        yield passthrough_service_pb2.ForwardRequest(chunk=body[10:])

    print("forwarded:", read_response(passthrough.Forward(request(), metadata=KEY)))

    passthrough.DeleteEndpoint(
        passthrough_service_pb2.DeleteEndpointRequest(endpoint_id=endpoint.id), metadata=KEY
    )


def read_response(parts) -> str:
    """Status and body of a response that comes in parts."""
    status, body = 0, b""
    for part in parts:
        if part.WhichOneof("part") == "head":
            status = part.head.status
        body += part.chunk
    return f"{status} {body.decode()}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: main.py <vLLM URL> <model>")
    main(sys.argv[1], sys.argv[2])
