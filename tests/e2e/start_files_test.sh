#!/usr/bin/env bash
# Start files (model.init) and checkpoints as they come from PyTorch: names with the prefixes of DDP and torch.compile,
# and values that are not finite.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/start.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: convnet, width: 8}
train:  {batch: 32, epochs: 1}
run:    {log_every: 5, eval_every_epochs: 0}
YAML

# edit.py FROM TO prefix P | edit.py FROM TO value TENSOR V | edit.py FROM TO some P: the file with other names (all, or
# one of them) or another first value of a tensor.
cat >"$scratch/edit.py" <<'PYTHON'
import json, struct, sys
source, target, kind, *rest = sys.argv[1:]
data = open(source, "rb").read()
length = struct.unpack("<Q", data[:8])[0]
header, values = json.loads(data[8:8 + length]), bytearray(data[8 + length:])
if kind == "value":
    begin = header[rest[0]]["data_offsets"][0]
    values[begin:begin + 4] = struct.pack("<f", float(rest[1]))
else:
    names = [name for name in header if name != "__metadata__"]
    for name in names if kind == "prefix" else [n for n in names if n.endswith("weight")][:1]:
        header[rest[0] + name] = header.pop(name)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(target, "wb").write(struct.pack("<Q", len(text)) + text + values)
PYTHON
edit() {
    "$PYTHON" "$scratch/edit.py" "$scratch/run/final.safetensors" "$@"
}

run_well "a checkpoint" 1 train "$config" "run.dir=$scratch/run"
run_well "is tested" 1 eval "$scratch/run/final.safetensors" "$config"
said=$(sed 's/.* on /on /' "$scratch/out")
tensor=$("$PYTHON" -c '
import json, struct, sys
data = open(sys.argv[1], "rb").read()
print(next(n for n in json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]]) if n.endswith("weight")))' \
    "$scratch/run/final.safetensors")

for prefix in module. _orig_mod. module._orig_mod. _orig_mod.module.; do
    file=$scratch/$prefix.safetensors
    edit "$file" prefix "$prefix"
    run_well "names with $prefix" 1 eval "$file" "$config"
    check "$prefix: the same figures" test "$(sed 's/.* on /on /' "$scratch/out")" = "$said"
    check "$prefix: one line says so" test "$(grep -cF "begin with \"$prefix\"" "$scratch/err")" = 1
done
run_well "model.init of DDP" 2 train "$config" "model.init=$file" "run.dir=$scratch/started"
check "one line for all ranks" test "$(grep -c 'its names begin with' "$scratch/err")" = 1
run_well "a plan from it" 1 train "$config" "model.init=$file" --dry-run
edit "$scratch/some.safetensors" some module.
refuse "a prefix on one name alone" 1 3 'some.safetensors && missing: && unexpected: module' eval \
    "$scratch/some.safetensors" "$config"

for value in nan inf -inf; do
    edit "$scratch/bad.safetensors" value "$tensor" "$value"
    refuse "eval: $value" 1 3 "bad.safetensors: tensor $tensor: element 0 of [0-9]+ is (not a number|infinite)" eval \
        "$scratch/bad.safetensors" "$config"
done
for command in "1 train" "2 train" "1 simulate"; do
    refuse "$command: a start with -inf" "${command% *}" 3 "bad.safetensors: tensor $tensor: .* infinite" \
        "${command#* }" "$config" "model.init=$scratch/bad.safetensors" "run.dir=$scratch/never"
done
refuse "a plan: a start with -inf" 1 3 "bad.safetensors: tensor $tensor" train "$config" \
    "model.init=$scratch/bad.safetensors" --dry-run
check "nothing was written" test ! -e "$scratch/never"

# What a PyTorch user needs: the inputs' normalisation, and the model.
run_command "$PYTHON" -c '
import json, struct, sys
data = open(sys.argv[1], "rb").read()
metadata = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]
assert json.loads(metadata["normalization"]) == {"mean": [0.5] * 3, "std": [0.25] * 3}, metadata
assert json.loads(metadata["input_shape"]) == [3, 32, 32], metadata' "$scratch/run/final.safetensors"
check "metadata: normalization" test "$status" = 0
run_well "a plan" 1 train "$config" --dry-run
parameters=$(sed -n 's/^model .*, \([0-9]*\) parameters.*/\1/p' "$scratch/out")
run_command "$PYTHON" scripts/torch_models.py "$scratch/run/final.safetensors"
if [ "$status" = 77 ]; then
    skip "scripts/torch_models.py" "no PyTorch here"
else
    check "PyTorch rebuilds it" test "$status" = 0
    check "with as many parameters" grep -q "^convnet, 10 classes, data set shapes: $parameters parameters" \
        "$scratch/out"
    check "says how inputs are made" grep -Fq 'minus [0.5, 0.5, 0.5], over [0.25, 0.25, 0.25]' "$scratch/out"
    run_command "$PYTHON" scripts/torch_models.py "$scratch/run/config.yaml"
    check "what is no checkpoint: a message" grep -q "config.yaml: not a safetensors file" "$scratch/err"
fi
finish
