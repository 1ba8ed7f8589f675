"""A client that knows nothing but an address: it finds the service by reflection and calls it.

    client.py HOST:PORT TOKEN
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PATCH = "@@ -1,2 +1,3 @@\n def test():\n+    breakpoint()\n     x = 1\n"
DIFF = f"diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n{PATCH}"


def main(address: str, token: str) -> None:
    channel = grpc.insecure_channel(address)
    database = ProtoReflectionDescriptorDatabase(channel)
    names = database.get_services()
    assert "sentinel.review.v1.ReviewService" in names, names
    assert "grpc.health.v1.Health" in names, names
    service = DescriptorPool(database).FindServiceByName("sentinel.review.v1.ReviewService")
    authorized = [("authorization", f"Bearer {token}")]

    def stub(name: str, kind):
        method = service.methods_by_name[name]
        request = GetMessageClass(method.input_type)
        path = f"/{service.full_name}/{name}"
        call = kind(path, request.SerializeToString, GetMessageClass(method.output_type).FromString)
        return request, call

    request, review_chunk = stub("ReviewChunk", channel.unary_unary)
    answer = review_chunk(request(filename="x.py", patch=PATCH), timeout=10, metadata=authorized)
    assert (answer.line, answer.severity) == (2, "bug"), answer
    try:
        review_chunk(request(filename="x.py", patch=PATCH), timeout=10)
    except grpc.RpcError as refused:
        assert refused.code() == grpc.StatusCode.UNAUTHENTICATED, refused
    else:
        raise AssertionError("answered a stranger")
    request, review_diff = stub("ReviewDiff", channel.unary_stream)
    items = [message.WhichOneof("item") for message in review_diff(request(diff=DIFF), timeout=10, metadata=authorized)]
    assert items == ["finding", "receipt"], items
    print("the python client got its findings")


if __name__ == "__main__":
    main(*sys.argv[1:])
