"""Where arithmetic happens; the only package that imports onnxruntime and cupy."""
