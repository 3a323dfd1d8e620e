"""The calls of the protocol: service, method, message class. Transports are made from this table, without stubs."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.protos.generated import health_pb2

INFERENCE_SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"


@dataclass(frozen=True, slots=True)
class Method:
    """One call; `handler` is the name of `InferenceService`'s method for it."""

    service: str
    name: str
    request: type[Message]
    handler: str

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"


def _inference(name: str, request: type[Message], handler: str) -> Method:
    return Method(INFERENCE_SERVICE, name, request, handler)


# The two inference calls are apart: they answer through a call-back (MODEL_INFER), and many times
# (MODEL_STREAM_INFER).
MODEL_INFER = _inference("ModelInfer", messages.ModelInferRequest, "infer")
MODEL_STREAM_INFER = _inference("ModelStreamInfer", messages.ModelInferRequest, "open_stream")

UNARY = (
    _inference("ServerLive", messages.ServerLiveRequest, "server_live"),
    _inference("ServerReady", messages.ServerReadyRequest, "server_ready"),
    _inference("ModelReady", messages.ModelReadyRequest, "model_ready"),
    _inference("ServerMetadata", messages.ServerMetadataRequest, "server_metadata"),
    _inference("ModelMetadata", messages.ModelMetadataRequest, "model_metadata"),
    _inference("ModelConfig", messages.ModelConfigRequest, "model_config"),
    _inference("ModelStatistics", messages.ModelStatisticsRequest, "model_statistics"),
    _inference("RepositoryIndex", messages.RepositoryIndexRequest, "repository_index"),
    _inference("RepositoryModelLoad", messages.RepositoryModelLoadRequest, "repository_model_load"),
    _inference("RepositoryModelUnload", messages.RepositoryModelUnloadRequest, "repository_model_unload"),
    _inference("SystemSharedMemoryStatus", messages.SystemSharedMemoryStatusRequest, "shared_memory"),
    _inference("SystemSharedMemoryRegister", messages.SystemSharedMemoryRegisterRequest, "shared_memory"),
    _inference("SystemSharedMemoryUnregister", messages.SystemSharedMemoryUnregisterRequest, "shared_memory"),
    _inference("CudaSharedMemoryStatus", messages.CudaSharedMemoryStatusRequest, "shared_memory"),
    _inference("CudaSharedMemoryRegister", messages.CudaSharedMemoryRegisterRequest, "shared_memory"),
    _inference("CudaSharedMemoryUnregister", messages.CudaSharedMemoryUnregisterRequest, "shared_memory"),
    _inference("TraceSetting", messages.TraceSettingRequest, "trace_setting"),
    _inference("LogSettings", messages.LogSettingsRequest, "log_settings"),
    Method(HEALTH_SERVICE, "Check", health_pb2.HealthCheckRequest, "health_check"),
)
