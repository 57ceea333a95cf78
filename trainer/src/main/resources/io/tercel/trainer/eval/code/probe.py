# Tries what a program must not do in the sandbox, and prints what it could not.
import os
import socket
import time

refused = []
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("192.0.2.1", 9))  # sends nothing, but needs a route
except OSError:
    refused.append("network")
children = []
try:
    for _ in range(300):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        children.append(child)
except OSError:
    refused.append("processes")
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
try:
    bytearray(8 << 30)
except MemoryError:
    refused.append("memory")
print(" ".join(refused))
