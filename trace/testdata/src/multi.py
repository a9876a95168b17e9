# multiprocessing by one of its three methods: a pool, a queue, a process that is
# terminated.
import multiprocessing as mp, sys, time

def square(x):
    return x * x

def sleep():
    time.sleep(30)

if __name__ == "__main__":
    ctx = mp.get_context(sys.argv[1])
    with ctx.Pool(3) as pool:
        print(pool.map(square, range(10)))
    p = ctx.Process(target=sleep)
    p.start()
    p.terminate()
    p.join()
    print(p.exitcode)
