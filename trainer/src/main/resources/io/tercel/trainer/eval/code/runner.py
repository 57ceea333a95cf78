# Runs solution.py: as a program, or one function of it (argv[1]) on the JSON lines of standard input.
# The names that LiveCodeBench's own runner imports beforehand are there.
import json
import os
import sys

PREAMBLE = "\n".join(
    "from %s import *" % m
    for m in "string re datetime collections heapq bisect copy math random statistics itertools "
    "functools operator io sys json builtins typing".split()
) + "\nimport string, re, datetime, collections, heapq, bisect, copy, math, random, statistics, " \
    "itertools, functools, operator, io, sys, json"

function = sys.argv[1] if len(sys.argv) > 1 else None
names = {"__name__": "solution" if function else "__main__", "__builtins__": __builtins__}
with open("solution.py", encoding="utf-8") as file:
    program = compile(file.read(), "solution.py", "exec")
sys.setrecursionlimit(50000)
sys.argv = ["solution.py"]
exec(PREAMBLE, names)
if not function:
    exec(program, names)
else:
    result_fd = os.dup(1)
    os.dup2(2, 1)  # what the function prints is no result
    exec(program, names)
    arguments = [json.loads(line) for line in sys.stdin.read().split("\n") if line.strip()]
    owner = names.get("Solution")
    call = getattr(owner(), function) if owner else names[function]
    result = json.dumps(call(*arguments)).encode()
    while result:
        result = result[os.write(result_fd, result):]
