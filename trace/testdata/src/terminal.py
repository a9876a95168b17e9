# Types what is on standard input into a command on a terminal of its own, a line
# at a time, each when the one before has been answered by a prompt or some quiet.
# "^Z" and "^C" are keys.
import os, pty, select, sys, time

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])

def drain(quiet):
    end = time.time() + 20
    while time.time() < end:
        ready, _, _ = select.select([fd], [], [], quiet)
        if not ready:
            return True
        try:
            if not os.read(fd, 65536):
                return False
        except OSError:
            return False
    return True

drain(1)
for line in sys.stdin.read().splitlines():
    keys = {"^Z": b"\x1a", "^C": b"\x03"}.get(line, line.encode() + b"\r")
    try:
        os.write(fd, keys)
    except OSError:
        break
    if not drain(0.6):
        break
os.close(fd)
os.waitpid(pid, 0)
