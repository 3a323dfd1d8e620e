"""Never reached: config.pbtxt names a datatype that does not exist."""


class TritonPythonModel:
    def execute(self, requests):
        return None
