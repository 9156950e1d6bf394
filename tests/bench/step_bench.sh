#!/usr/bin/env bash
# ResNet-18 training step, batch 128, two threads: beside PyTorch's, beside its own convolutions alone, A²CiD² beside
# SGD.
exec "${BUILD:-build}/tests/bench/step_bench" --torch "${PYTHON:-python3} tests/bench/step_torch.py"
