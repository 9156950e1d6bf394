"""What the program's messages advise must be there: keys, their words, options, commands, scripts.

    advice.py PROGRAM [ROOT]    reads the string literals of ROOT/src (default: here); exit status 1 names what is wrong
"""
import pathlib
import re
import subprocess
import sys

program, root = sys.argv[1], pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ".")
FOREIGN = {"--all", "--bind-to", "--map-by", "--mca", "--mpi", "--shm-size", "--with-ft"}  # mpirun's, srun's, docker's
FILES = {"bin", "safetensors", "json", "jsonl", "yaml", "tsv", "py"}


def say(*words):
    return subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout


def options_of(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


keys = {}  # key: its words, or an empty set
for line in say("config").splitlines():
    found = re.match(r"([a-z_]+(?:\.[a-z_]+)?) +\S+ +(.*)", line)
    if found and found[1] != "key":
        words = re.match(r"[a-z0-9_-]+(?: \| [a-z0-9_-]+)+", found[2])
        keys[found[1]] = set(words[0].split(" | ")) if words else set()
sections = {key.split(".")[0] for key in keys if "." in key}
commands = {line.split()[1] for line in say("--help").splitlines() if line.startswith("    grapevine ")}
options = {command: options_of(say(command, "--help")) for command in commands}
every_option = set().union(*options.values()) | options_of(say("--help"))


def allowed_options(path):
    """Of a command's own file its options, of other files those of any."""
    command = re.match(r"(\w+)_command$", path.stem)
    if command and command[1] in commands:
        return options[command[1]] | FOREIGN
    if "pack" in path.parts:
        return options["pack"] | FOREIGN
    return every_option | FOREIGN


def literals(path):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    text = re.sub(r"^\s*#\s*include.*$", "", text, flags=re.M)
    part = r'"((?:[^"\\\n]|\\.)*)"'
    for found in re.finditer(part + r"(?:\s*" + part + ")*", text):
        yield "".join(re.findall(part, found[0])).replace("\\n", "\n")


def wrong_with(path, text):
    for section, key, value in re.findall(r"(?<![\w./%-])([a-z_]+)\.([a-z_]+)(?:=([a-z][a-z0-9_-]*))?\b", text):
        name = f"{section}.{key}"
        if section not in sections or key in FILES:
            continue
        if name not in keys:
            yield f"no key {name}"
        elif value and keys[name] and value not in keys[name]:
            yield f"{name} is never {value}"
    for option in options_of(text) - allowed_options(path):
        yield f"no option {option}"
    for command in re.findall(r"`grapevine ([a-z]+)|(?:: |, |\s)grapevine ([a-z]+) [A-Z]", text):
        if "".join(command) not in commands | {"help"}:
            yield f"no command {''.join(command)}"
    for script in re.findall(r"scripts/[a-z_/]+\.sh", text):
        if not (pathlib.Path(script)).exists():
            yield f"no {script}"


bad = [f"{path}: {what}: \"{text[:70]}\"" for path in sorted(root.glob("src/**/*.c")) for text in literals(path)
       for what in wrong_with(path, text)]
print("\n".join(bad) or f"{len(keys)} keys, {len(every_option)} options: all that is advised is there")
sys.exit(1 if bad else 0)
