package report

import (
	"encoding/xml"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"axprocess"
)

// TestClean: what a process calls itself moves no cursor, and what is clean stays
// as it is.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"make -j4": "make -j4", "naïve": "naïve", "a\x1b[2Jb\nc": `a\x1b[2Jb\nc`, "\xffx": `\xffx`, "ab\u202ec": `ab\u202ec`, "": "",
	} {
		if got := (Style{}).Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		y := Style{ASCII: rapid.Bool().Draw(t, "ascii")}
		got := y.Clean(string(rapid.SliceOf(rapid.Byte()).Draw(t, "s")))
		for _, r := range got {
			if !unicode.IsPrint(r) || r == utf8.RuneError || y.ASCII && r >= utf8.RuneSelf {
				t.Fatalf("%q has %q", got, r)
			}
		}
	})
}

// TestCut: what is cut fits, and says that it is cut.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := Style{ASCII: rapid.Bool().Draw(t, "ascii")}
		s, n := y.Clean(rapid.String().Draw(t, "s")), rapid.IntRange(0, 30).Draw(t, "n")
		got := y.Cut(s, n)
		if Columns(got) > n {
			t.Fatalf("%q takes %d columns of %d", got, Columns(got), n)
		}
		if Columns(s) <= n && got != s {
			t.Fatalf("%q fits and became %q", s, got)
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 200 * time.Second: "3m20s", 5*time.Hour + 3*time.Minute: "5h3m", 292 * time.Hour: "12d4h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		1: "1s", time.Second: "1s", 59*time.Second + 1: "1m0s", time.Hour + time.Second: "1h1m", 24*time.Hour + time.Second: "1d1h",
	} {
		if got := spanUp(d); got != want {
			t.Errorf("at most %v: %s, want %s", d, got, want)
		}
	}
}

func TestPaint(t *testing.T) {
	if got := (Style{Color: true}).Paint(Bad, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
	if got := (Style{}).Paint(Bad, "x"); got != "x" {
		t.Errorf("%q", got)
	}
}

// randomTree is the tree of a table on which random things have happened, with
// names as bad as can be.
func randomTree(t *rapid.T) *Tree {
	table := axprocess.NewTable()
	if _, err := table.NewInit(1).Leader(nil).Build(); err != nil {
		t.Fatal(err)
	}
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		all := table.Processes()
		p := all[rapid.IntRange(0, len(all)-1).Draw(t, "who")]
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0, 1, 2:
			_, _ = p.Fork(axprocess.NextPID).Leader(nil).Build()
		case 3:
			_, _ = p.NewThread(axprocess.NextPID).Build()
		case 4:
			_, _ = p.Setsid()
		case 5:
			_ = p.Setpgid(0, 0)
		case 6:
			if p.PID() != 1 {
				_ = p.GroupKill(axprocess.SIGKILL, false)
			}
		}
	}
	states := []string{"running", "sleeping", "stopped", "traced", "disk-sleep"}
	return NewTree(table, func(p *axprocess.Process) Facts {
		f := Facts{Comm: rapid.String().Draw(t, "comm"), State: states[int(p.PID())%len(states)], DeadAtMost: time.Minute, Kernel: p.PID()%7 == 3}
		if p.IsZombie() {
			f.State, f.Cause, f.Code = "zombie", axprocess.Killed, 9
		} else {
			f.Args = rapid.SliceOfN(rapid.String(), 0, 4).Draw(t, "args")
		}
		return f
	}, func(*axprocess.Thread) ThreadFacts { return ThreadFacts{Comm: rapid.String().Draw(t, "thread")} })
}

// TestPrinters: each process that is shown is printed once by each printer,
// whatever it is called and however deep it is; no line of text is too wide, and
// the picture is sound XML.
func TestPrinters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := randomTree(t)
		view := View{Flat: rapid.Bool().Draw(t, "flat"), Threads: rapid.Bool().Draw(t, "threads")}
		style := Style{Width: rapid.IntRange(40, 120).Draw(t, "width"), ASCII: rapid.Bool().Draw(t, "ascii")}
		all := tree.Nodes()
		switch rapid.IntRange(0, 3).Draw(t, "choice") {
		case 1:
			tree.StartAt(rapid.SampledFrom(all).Draw(t, "start"))
		case 2:
			tree.Filter(func(n *Node) bool { return n.State == "zombie" })
		case 3:
			tree.FoldKernel()
		}
		var text, dot, svg strings.Builder
		if err := tree.Text(&text, view, style); err != nil {
			t.Fatal(err)
		}
		printed := map[string]int{}
		for line := range strings.Lines(text.String()) {
			line = strings.TrimSuffix(line, "\n")
			if Columns(line) > style.Width {
				t.Fatalf("%d columns of %d: %q", Columns(line), style.Width, line)
			}
			word, _, _ := strings.Cut(strings.TrimLeft(line, " │├└─|`-"), " ")
			printed[word]++
		}
		if err := tree.DOT(&dot, view); err != nil {
			t.Fatal(err)
		}
		if err := tree.SVG(&svg, view); err != nil {
			t.Fatal(err)
		}
		for _, n := range tree.Nodes() {
			number := n.branch(View{}, style).number
			if printed[number] < 1 {
				t.Fatalf("%s is not in the text:\n%s", number, text.String())
			}
			rows := 1
			if view.Threads && len(n.Threads) > 1 {
				rows = 2 // the leader too goes by this number
			}
			if strings.Count(dot.String(), "  p"+number+" [label=") != 1 || strings.Count(svg.String(), ">"+number+" <") != rows {
				t.Fatalf("%s is not once in the graph and the picture", number)
			}
		}
		for d := xml.NewDecoder(strings.NewReader(svg.String())); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("the picture: %v", err)
			}
		}
	})
}

// TestGraphviz: Graphviz itself reads the graph.
func TestGraphviz(t *testing.T) {
	if _, err := exec.LookPath("dot"); err != nil {
		t.Skip("not run: needs graphviz (see ./setup)")
	}
	table := axprocess.NewTable()
	init, err := table.NewInit(1).Leader(nil).Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := init.Fork(2).Leader(nil).Build(); err != nil {
		t.Fatal(err)
	}
	tree := NewTree(table, func(*axprocess.Process) Facts {
		return Facts{Comm: `a"b\n`, Args: []string{`say "hi\"`, "]; }", "\n"}, State: "sleeping"}
	}, func(*axprocess.Thread) ThreadFacts { return ThreadFacts{} })
	for _, view := range []View{{}, {Flat: true}} {
		var graph strings.Builder
		if err := tree.DOT(&graph, view); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("dot", "-Tplain")
		cmd.Stdin = strings.NewReader(graph.String())
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "edge p1 p2") {
			t.Errorf("%v: %s\n%s", err, out, graph.String())
		}
	}
}
