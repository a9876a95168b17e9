# A family of real processes. The reaper, a child subreaper in a session of its own,
# starts a parent, which leads another session and has three children: a, stopped in
# a group of its own; b, asleep in the parent's group; z, a zombie.
#
# The reaper prints "family reaper parent a b z" and obeys lines on standard input:
#   exit   the parent exits with code 5; prints "setpgid ERRNO", what the parent got
#          for making a group before it did
#   term   b is sent SIGTERM
#   quit   ends, and b with it
# and prints "reaped PID exited|killed CODE" for each child that it waits for.
import ctypes, errno, os, signal, sys

PR_SET_CHILD_SUBREAPER = 36

def child(do, *close):
    pid = os.fork()
    if pid == 0:
        for fd in close:
            os.close(fd)
        do()
        os._exit(99)
    return pid

def until_closed(fd):
    while os.read(fd, 1):
        pass
    os._exit(0)

def parent():
    def a():
        os.setpgid(0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
    os.setsid()
    pids = [child(a, alive_w, go_r), child(lambda: until_closed(alive_r), alive_w, go_r), child(lambda: os._exit(3), alive_w)]
    os.waitid(os.P_PID, pids[0], os.WSTOPPED | os.WNOWAIT)
    os.waitid(os.P_PID, pids[2], os.WEXITED | os.WNOWAIT)
    os.write(say_w, (" ".join(map(str, pids)) + "\n").encode())
    os.close(alive_w)
    os.read(go_r, 1)
    try:
        os.setpgid(0, 0)
        said = "none"
    except OSError as e:
        said = errno.errorcode[e.errno]
    os.write(say_w, (said + "\n").encode())
    os._exit(5)

def reap():
    pid, status = os.waitpid(-1, 0)
    if os.WIFSIGNALED(status):
        print("reaped", pid, "killed", os.WTERMSIG(status), flush=True)
    else:
        print("reaped", pid, "exited", os.WEXITSTATUS(status), flush=True)

if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
    sys.exit("prctl")
os.setsid()
alive_r, alive_w = os.pipe()  # b lives until the reaper's end is closed
say_r, say_w = os.pipe()
go_r, go_w = os.pipe()
p = child(parent, say_r, go_w)
os.close(say_w)
os.close(go_r)
said = os.fdopen(say_r)
line = said.readline().split()
b = int(line[1])
print("family", os.getpid(), p, *line, flush=True)
for line in sys.stdin:
    if line == "exit\n":
        os.write(go_w, b"x")
        print("setpgid", said.readline().strip(), flush=True)
        for _ in range(3):  # the parent, the zombie and what the hang-up ends
            reap()
    elif line == "term\n":
        os.kill(b, signal.SIGTERM)  # its own child, not yet waited for
        reap()
    else:
        break
