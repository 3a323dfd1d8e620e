"""The contract every backend keeps, the executors that run model instances, and the backends themselves."""
