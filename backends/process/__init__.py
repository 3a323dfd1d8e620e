"""Instances in worker processes: control over a socket, tensors through shared memory, no pickle anywhere.

server process                          worker process
executor.py  -- batches, restarts       worker.py  -- loads the model, runs batches
connection.py -- spawn, socket events
          \\________ channel.py: packets over a Unix socket ________/
          \\________ wire.py: requests and responses as packets ____/
          \\________ shared_memory.py: blocks for large tensors ____/
"""
