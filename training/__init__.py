"""Makes the generators that `fastsr` runs: data, degradation, training, evaluation, ONNX export."""
