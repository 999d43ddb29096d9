# The echo service of echo.ts on Python's gRPC, with raw bytes in place of generated code: a third party on the wire. Prints its
# port, and ends with its parent.
import sys
from concurrent import futures

import grpc


def unary(request, context):
    if request == b"fail":
        context.abort(grpc.StatusCode.UNAVAILABLE, "out of order")
    if request == b"missing":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request


def chat(requests, context):
    for request in requests:
        yield request


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(None)
