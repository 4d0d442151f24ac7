"""Models and tensors on their way in: torch or ONNX to checked ONNX, files to named arrays.

* ``export``: a torch module or an ONNX file becomes the bytes that are proven.
* ``admit``: what must not be proven is refused, with tensor and operator named.
* ``inputs``: tensors from .npz, .npy and JSON, checked against the model's signature.
* ``split``: a model cut at tensor boundaries into parts.

The only package that imports torch and onnx. Importing it loads neither.
"""
