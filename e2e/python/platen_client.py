#!/usr/bin/python3
"""A client of Platen that shares no code with it: Python, with stubs that protoc makes from proto/.

    npx buf build -o platen.binpb
    (cd proto && protoc --descriptor_set_in=../platen.binpb --python_out=STUBS --grpc_python_out=STUBS \\
        --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" platen/v1/*.proto)
    PYTHONPATH=STUBS ./platen_client.py HOST:PORT print PRINTER FILE
    PYTHONPATH=STUBS ./platen_client.py HOST:PORT cancel PRINTER FILE
"""

import sys

import grpc
from platen.v1 import intake_pb2, intake_pb2_grpc, job_pb2, ticket_pb2

CHUNK_BYTES = 64 * 1024


def upload(stub, path):
    """Sends a file in chunks; returns its document id."""

    def parts():
        yield intake_pb2.UploadDocumentRequest(header=intake_pb2.DocumentHeader(file_name=path))
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield intake_pb2.UploadDocumentRequest(chunk=chunk)

    return stub.UploadDocument(parts()).document_id


def submit(stub, printer_id, document_id):
    """Makes a job; returns its id."""
    ticket = ticket_pb2.JobTicket(copies=1, print_color_mode=ticket_pb2.PRINT_COLOR_MODE_AUTO)
    request = intake_pb2.SubmitJobRequest(printer_id=printer_id, document_id=document_id, ticket=ticket, user_name="python")
    return stub.SubmitJob(request).job.job_id


def watch(stub, job_id):
    """Prints the job's history as it is made; returns its end state."""
    state = job_pb2.JOB_STATE_UNSPECIFIED
    for response in stub.WatchJob(intake_pb2.WatchJobRequest(job_id=job_id)):
        state = response.event.state
        print(response.event.sequence, job_pb2.JobEventKind.Name(response.event.kind), job_pb2.JobState.Name(state), flush=True)
    return state


def main(server, command, printer_id, path):
    with grpc.insecure_channel(server) as channel:
        stub = intake_pb2_grpc.IntakeServiceStub(channel)
        job_id = submit(stub, printer_id, upload(stub, path))
        if command == "cancel":
            stub.CancelJob(intake_pb2.CancelJobRequest(job_id=job_id))
        state = watch(stub, job_id)
    expected = {"print": job_pb2.JOB_STATE_COMPLETED, "cancel": job_pb2.JOB_STATE_CANCELED}[command]
    return 0 if state == expected else 1


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[2] not in ("print", "cancel"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
