package axprocess

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
)

// This file is about concurrent histories of every operation: what goroutines were
// told is what some order of their calls would have told, one that keeps to who
// returned before who called. The judge is porcupine; its model is a table that
// only one goroutine uses, in which the calls are done one by one. That such a
// table keeps the rules is shown beside naive twins (model_test.go,
// signalmodel_test.go, namespacemodel_test.go); here it is shown that many at once
// can't make it do anything else.
//
// All operations but the unlocked reads are judged together. An unlocked read is one
// word, right at one moment; two such reads are not one cut, and so each is judged
// alone, with all that was done under the lock.

// past is a state of the model: the calls so far, in the order that is tried.
type past struct {
	start func() *world
	calls []call
	text  func() string // what the table is then
}

func newPast(start func() *world, calls []call) *past {
	h := &past{start: start, calls: calls}
	h.text = sync.OnceValue(func() string {
		w := h.replayed()
		return w.String() + w.handles()
	})
	return h
}

// over has ended: what would block under it answers cancelled.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (h *past) replayed() *world {
	w := h.start()
	for _, c := range h.calls {
		c.do(over, w, c)
	}
	return w
}

func linearModel(start func() *world) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return newPast(start, nil) },
		Step: func(state, input, output any) (bool, any) {
			h, c := state.(*past), input.(call)
			if output == cancelled {
				return true, h // it has done nothing
			}
			if c.do(over, h.replayed(), c) != output {
				return false, h
			}
			return true, newPast(start, append(slices.Clip(h.calls), c))
		},
		Equal: func(a, b any) bool { return a.(*past).text() == b.(*past).text() },
	}
}

// String is all of the table that decides how it goes on. Instead of unique ids it
// has numbers, and of births it has their order.
func (w *world) String() string {
	snap := w.table.Snapshot()
	var b strings.Builder
	births := map[uint64]int{}
	for _, m := range snap.Processes {
		births[m.Birth] = 0
	}
	for i, n := range slices.Sorted(maps.Keys(births)) {
		births[n] = i
	}
	spaces := map[uint64]int{}
	for i, ns := range snap.Namespaces {
		spaces[ns.ID] = i + 1
		fmt.Fprintf(&b, "namespace %d in %d: %d %t\n", i+1, spaces[ns.Parent], ns.Cursor, ns.Closed)
	}
	numbers := map[uint64]uint64{0: 0}
	for _, m := range snap.Processes {
		numbers[m.ID] = uint64(m.PID)
		for _, h := range m.Threads {
			numbers[h.ID] = uint64(h.TID)
		}
	}
	number := func(id uint64) uint64 {
		if n, found := numbers[id]; found {
			return n
		}
		return 1 << 32 // of one that is gone
	}
	own := func(a *ThreadAttributes) { a.Below, a.HeldBy = uint64(spaces[a.Below]), number(a.HeldBy) }
	for _, m := range snap.Processes {
		fmt.Fprintf(&b, "process %d (%v) joined %d: ", m.PID, m.data, births[m.Birth])
		m.ID, m.Birth, m.Namespace, m.data = 0, 0, uint64(spaces[m.Namespace]), nil
		m.ChosenThread, m.VforkThreadID = number(m.ChosenThread), number(m.VforkThreadID)
		own(&m.Self)
		for i := range m.Lineage {
			m.Lineage[i].ID = 0
		}
		for i := range m.Threads {
			m.Threads[i].ID = 0
			own(&m.Threads[i].ThreadAttributes)
		}
		fmt.Fprintf(&b, "%+v\n", m)
	}
	for _, m := range snap.Groups {
		m.ID, m.Founder, m.Namespace = 0, number(m.Founder), uint64(spaces[m.Namespace])
		fmt.Fprintf(&b, "group %+v\n", m)
	}
	for _, m := range snap.Sessions {
		m.ID, m.Namespace = 0, uint64(spaces[m.Namespace])
		fmt.Fprintf(&b, "session %+v\n", m)
	}
	fmt.Fprintf(&b, "init %d cursor %d\n", snap.Init, snap.Cursor)
	return b.String()
}

// handles is what is still to be had of what has ended. It is no cut: only one
// goroutine may use the world.
func (w *world) handles() string {
	var b strings.Builder
	for _, p := range w.procs {
		if p != nil {
			fmt.Fprintln(&b, said(p, p.State(), p.ExitCode(), p.Group(), p.PIDIn(w.spaces[1])))
		}
	}
	for _, h := range w.threads {
		if h != nil {
			fmt.Fprintln(&b, said(h, h.TID(), h.IsExited()))
		}
	}
	for _, term := range w.terms {
		fmt.Fprintln(&b, said(term.Session(), term.Foreground()))
	}
	fmt.Fprintln(&b, all(w.groups[:]), w.spaces[1].IsClosed(), w.spaces[1].Len())
	return b.String()
}

// recorder keeps what was called, when, and what the answer was. Its clock is a
// count, so no two moments are one.
type recorder struct {
	clock   atomic.Int64
	mutex   sync.Mutex
	history []porcupine.Operation
}

func (r *recorder) record(ctx context.Context, who int, w *world, c call) {
	from := r.clock.Add(1)
	answer := c.do(ctx, w, c)
	to := r.clock.Add(1)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.history = append(r.history, porcupine.Operation{ClientId: who, Input: c, Call: from, Output: answer, Return: to})
}

// overlapping counts the calls during which another was under way.
func (r *recorder) overlapping() (n int) {
	for _, a := range r.history {
		if slices.ContainsFunc(r.history, func(b porcupine.Operation) bool {
			return a.ClientId != b.ClientId && a.Call < b.Return && b.Call < a.Return
		}) {
			n++
		}
	}
	return n
}

func (r *recorder) String() string {
	slices.SortFunc(r.history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range r.history {
		text, _, _ := strings.Cut(op.Output.(string), "\n")
		fmt.Fprintf(&b, "%d…%d, %d: %v: %s\n", op.Call, op.Return, op.ClientId, op.Input, text)
	}
	return b.String()
}

// unexplained returns the part of a history that no order explains, or nil.
func (r *recorder) unexplained(start func() *world) *recorder {
	var locked, reads []porcupine.Operation
	for _, op := range r.history {
		if slices.Contains(unlocked, op.Input.(call).operation) {
			reads = append(reads, op)
		} else {
			locked = append(locked, op)
		}
	}
	parts := [][]porcupine.Operation{locked}
	for _, read := range reads {
		parts = append(parts, append(slices.Clip(locked), read))
	}
	for _, part := range parts {
		if !porcupine.CheckOperations(linearModel(start), part) { // without a limit of time: it says yes or no
			return &recorder{history: part}
		}
	}
	return nil
}

// yielding is a lock at which others run first, so that calls overlap on any machine.
type yielding struct{ sync.Mutex }

func (y *yielding) Lock() {
	for range rand.IntN(3) {
		runtime.Gosched()
	}
	y.Mutex.Lock()
}

func (y *yielding) Unlock() {
	y.Mutex.Unlock()
	runtime.Gosched()
}

// dealer draws calls so that each operation comes up as often as the others.
type dealer struct {
	*rand.Rand
	kinds, deck []*operation
	places      int // that have been given away
}

// next is the next operation of a shuffled deck.
func (d *dealer) next() *operation {
	if len(d.deck) == 0 {
		d.deck = slices.Clone(d.kinds)
		d.Shuffle(len(d.deck), func(i, j int) { d.deck[i], d.deck[j] = d.deck[j], d.deck[i] })
	}
	op := d.deck[0]
	d.deck = d.deck[1:]
	return op
}

// about draws what a call is about: some of the places given, mostly.
func (d *dealer) about(op *operation, procs, threads []int) call {
	signals := []Signal{SIGTERM, SIGSTOP, SIGCONT, SIGTSTP, SIGUSR1, SIGCHLD, SIGHUP, SIGTTIN, SIGRTMIN + 1}
	pick := func(from []int) int { return from[d.IntN(len(from))] }
	c := call{operation: op, by: pick(procs), to: pick(procs), thread: pick(threads), k: d.IntN(8), sig: signals[d.IntN(len(signals))]}
	c.n = PID(1 + pick(procs)) // its number, if it is one of the first
	switch d.IntN(8) {
	case 0:
		c.sig = SIGKILL
	case 1:
		c.n = PID(1 + d.IntN(20))
	case 2:
		c.to = d.IntN(firstProcs)
	}
	return c
}

const (
	linearClients = 3
	linearCalls   = 5
	linearPlaces  = firstProcs + linearClients*linearCalls
)

// families are processes that have to do with each other.
var families = [][]int{{1, 2, 3, 7}, {1, 2}, {2, 3}, {1, 3, 7}, {4, 5, 6}, {5, 6}, {8, 9, 10}, {0, 1, 4, 8}}

// plan is what each goroutine will call: a few operations, many times, on a few
// processes and those that it makes, so that calls meet. The last of the plans, if
// there is one more, is a wait that blocks.
func (d *dealer) plan(blocked bool) (plans [][]call) {
	var kinds []*operation
	for range 6 {
		kinds = append(kinds, d.next())
	}
	family := families[d.IntN(len(families))]
	d.places = firstProcs
	for range linearClients {
		procs, threads := slices.Clone(family), []int{1 + d.IntN(firstThreads-1)}
		var calls []call
		for range linearCalls {
			c := d.about(kinds[d.IntN(len(kinds))], procs, threads)
			c.makes = d.places
			d.places++
			calls = append(calls, c)
			if c.forks {
				procs = append(procs, c.makes)
			}
			if c.starts {
				threads = append(threads, c.makes)
			}
		}
		plans = append(plans, calls)
	}
	if blocked {
		c := d.about(blocking[d.IntN(len(blocking))], family, []int{1})
		pair := [][2]int{{1, 2}, {1, 3}, {1, 7}, {0, 1}, {0, 4}, {0, 8}}[d.IntN(6)] // who waits, and a child
		c.thread, c.n = pair[0], PID(1+pair[1])
		plans = append(plans, []call{c})
	}
	return plans
}

// run does the plans at once, ends the waits that still block, and asks for the
// whole state.
func (r *recorder) run(w *world, plans [][]call) {
	ctx, cancel := context.WithCancel(context.Background())
	var busy, blocked sync.WaitGroup
	begin := make(chan struct{})
	for who, calls := range plans {
		group := &busy
		if who >= linearClients {
			group = &blocked
		}
		group.Go(func() {
			<-begin
			for _, c := range calls {
				r.record(ctx, who, w, c)
			}
		})
	}
	close(begin)
	busy.Wait()
	cancel()
	blocked.Wait()
	r.record(ctx, 0, w, call{operation: called("snapshot")})
}

// TestLinearHistories: every operation of the API, some at once, in small histories;
// each is explained by an order of its calls, down to the whole state at the end.
func TestLinearHistories(t *testing.T) {
	rounds := 250
	if testing.Short() {
		rounds = 80
	}
	d := &dealer{Rand: rand.New(rand.NewPCG(3, 3)), kinds: slices.Concat(everyOperation(), births, ends)}
	count, overlapping, blockedDone := map[string]int{}, 0, 0
	for n := range rounds {
		opts := [][]Option{nil, {WithMaxPID(18)}, {WithEvents(100), WithNotices()}, {WithLineage(2)}, {WithPermission(UnixPermission)}}[n/2%5]
		start := func() *world { return newWorld(linearPlaces, opts...) }
		w := start()
		if n%2 == 0 {
			w = newWorld(linearPlaces, append([]Option{WithLock(&yielding{})}, opts...)...)
		}
		var r recorder
		r.run(w, d.plan(n%3 > 0))
		if part := r.unexplained(start); part != nil {
			t.Fatalf("round %d: no order explains\n%v", n, part)
		}
		checked(t, w.table)
		overlapping += r.overlapping()
		for _, op := range r.history {
			c := op.Input.(call)
			count[c.what]++
			if slices.Contains(blocking, c.operation) && op.Output != cancelled {
				blockedDone++
			}
		}
	}
	for _, op := range append(everyOperation(), blocking...) {
		if count[op.what] == 0 {
			t.Errorf("nobody has called %q", op.what)
		}
	}
	if overlapping == 0 || blockedDone == 0 {
		t.Errorf("%d calls overlapped and %d blocked ones were answered: nothing is shown", overlapping, blockedDone)
	}
	t.Logf("%d histories, %d operations; %d calls overlapped others", rounds, len(count), overlapping)
}

// TestLinearHistoriesCanFail: an answer that is altered has no explanation, whatever
// the operation; nor has what a table would do that had one of these faults.
func TestLinearHistoriesCanFail(t *testing.T) {
	start := func() *world { return newWorld(linearPlaces) }
	d := &dealer{Rand: rand.New(rand.NewPCG(5, 5)), kinds: everyOperation()}
	for _, op := range d.kinds {
		c := d.about(op, []int{1, 2, 3, 4, 5}, []int{1, 2, 3})
		c.makes = firstProcs
		var r recorder
		r.record(over, 0, start(), c)
		if part := r.unexplained(start); part != nil {
			t.Errorf("no order explains\n%v", part)
		}
		r.history[0].Output = r.history[0].Output.(string) + "?"
		if r.unexplained(start) == nil {
			t.Errorf("any answer of %q will do", op.what)
		}
	}
	for fault, story := range map[string]func(r *faulty){
		"an end that two waits get": func(r *faulty) {
			r.tell(0, 10, 1, call{operation: called("wait by handle"), by: 1, to: 7})
			r.w = start()
			r.tell(1, 11, 2, call{operation: called("wait by handle"), by: 1, to: 7})
		},
		"an end that no wait gets": func(r *faulty) {
			r.tell(0, 10, 1, call{operation: called("exit"), by: 3})
			r.tell(11, 20, 2, call{operation: called("wait by handle"), by: 1, to: 4})
			r.r.history[1].Input = call{operation: called("wait by handle"), by: 1, to: 3}
		},
		"a number given twice": func(r *faulty) {
			r.tell(0, 10, 1, call{operation: called("fork"), by: 1, makes: 11})
			r.w = start()
			r.tell(1, 11, 2, call{operation: called("fork"), by: 2, makes: 12})
		},
		"a child lost to an exit at that moment": func(r *faulty) {
			r.tell(0, 10, 1, call{operation: called("exit"), by: 5})
			r.tell(1, 11, 2, call{operation: called("fork"), by: 6, makes: 11}) // its parent has gone to the daemon
			r.w = start()
			r.tell(12, 20, 2, call{operation: called("children"), by: 4})
		},
		"a group that is read after it was left": func(r *faulty) {
			r.tell(0, 10, 1, call{operation: called("getpgid"), by: 3})
			r.tell(1, 11, 2, call{operation: called("move to group"), by: 3, k: 0})
			r.r.history[0].Call, r.r.history[0].Return = 12, 20
		},
		"a list half of before, half of after": func(r *faulty) {
			r.tell(0, 100, 1, call{operation: called("children"), by: 5})
			r.tell(1, 10, 2, call{operation: called("fork"), by: 5, makes: 11})
			r.tell(11, 20, 2, call{operation: called("exit"), by: 6})
			r.tell(21, 30, 2, call{operation: called("free"), by: 6})
			r.tell(31, 40, 2, call{operation: called("fork"), by: 5, makes: 12})
			r.r.history[0].Output = all([]*Process{r.w.procs[6], r.w.procs[12]})
		},
		"a signal taken twice": func(r *faulty) {
			r.tell(0, 10, 1, call{operation: called("raise"), by: 6, sig: SIGUSR1})
			for who := range 2 {
				r.tell(11, 20, who, call{operation: called("take"), by: 6})
			}
			r.r.history[2].Output = r.r.history[1].Output
		},
		"a process that is alive after its exit": func(r *faulty) {
			r.tell(12, 20, 2, call{operation: called("is ended"), by: 3})
			r.tell(0, 10, 1, call{operation: called("exit"), by: 3})
		},
	} {
		r := faulty{w: start()}
		story(&r)
		if r.r.unexplained(start) == nil {
			t.Errorf("%s is explained:\n%v", fault, &r.r)
		}
	}
}

// faulty makes a history by hand.
type faulty struct {
	w *world
	r recorder
}

func (f *faulty) tell(from, to int64, who int, c call) {
	f.r.history = append(f.r.history, porcupine.Operation{ClientId: who, Input: c, Call: from, Output: c.do(over, f.w, c), Return: to})
}

// onUnlock is a lock that lets somebody else in at the first chance.
type onUnlock struct {
	sync.Mutex
	then func()
}

func (l *onUnlock) Unlock() {
	l.Mutex.Unlock()
	if then := l.then; then != nil {
		l.then = nil
		then()
	}
}

// TestExecWhileTheLeaderExits: the thread that acts for a process is chosen when it
// acts; who exits meanwhile is not it (found by TestLinearHistories).
func TestExecWhileTheLeaderExits(t *testing.T) {
	lock := &onUnlock{}
	init := build(t, NewTable(WithLock(lock)).NewInit(1))
	p := build(t, init.Fork(NextPID).Leader(nil))
	leader := p.Thread()
	must(p.NewThread(NextPID).Build())
	lock.then = func() { must(leader.Exit(0)) }
	ok(t, p.Exec())
	checked(t, p.table())
}
