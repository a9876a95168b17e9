# Threads that each run, signal and fork children of their own.
import threading, subprocess, os, time, signal
def w(i):
    for k in range(3):
        subprocess.run(["/bin/sh","-c",f"exit {i}"])
        p=subprocess.Popen(["sleep","10"]); time.sleep(0.003); p.send_signal(signal.SIGTERM); p.wait()
        r=os.fork()
        if r==0: os._exit(k)
        os.waitpid(r,0)
ts=[threading.Thread(target=w,args=(i,)) for i in range(5)]
[t.start() for t in ts]; [t.join() for t in ts]
