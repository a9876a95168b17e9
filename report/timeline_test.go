package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"axprocess"
)

// TestTimelineOrder: what the page is given is the tree, a starter before what it
// started, whatever the order of the records.
func TestTimelineOrder(t *testing.T) {
	l := aLife()
	l.Processes[0], l.Processes[3] = l.Processes[3], l.Processes[0]
	var got []string
	for _, p := range l.page().Processes {
		got = append(got, fmt.Sprintf("%d:%d/%d/%d", p.PID, p.Depth, p.Up, p.Below))
	}
	if want := "[100:0/-1/3 101:1/0/2 102:2/1/0 103:2/1/0]"; fmt.Sprint(got) != want {
		t.Errorf("pid:depth/up/below %v, want %s", got, want)
	}
}

// TestTimelineRefuses: a life that contradicts itself is not drawn.
func TestTimelineRefuses(t *testing.T) {
	l := aLife()
	l.Processes[0].ID = 0
	var out bytes.Buffer
	if Timeline(&out, l) == nil || ChromeTrace(&out, l) == nil || out.Len() > 0 {
		t.Errorf("it is drawn: %.100s", out.String())
	}
}

// TestTimelineEscapes: nothing that a process calls itself ends an element of the
// page, and nothing is fetched.
func TestTimelineEscapes(t *testing.T) {
	l := aLife()
	l.Command = []string{`</title><script>alert(1)</script>{{.Script}}`}
	l.Processes[1].Comm = `</script><img src=x>`
	var out bytes.Buffer
	if err := Timeline(&out, l); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	if n := strings.Count(page, "</script>"); n != 2 {
		t.Errorf("%d script elements end", n)
	}
	for _, bad := range []string{"<img src=x", "http://", "https://", "<script>alert"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
}

func TestChromeTrace(t *testing.T) {
	var out bytes.Buffer
	if err := ChromeTrace(&out, aLife()); err != nil {
		t.Fatal(err)
	}
	var trace struct {
		TraceEvents []struct {
			Name, Ph string
			TS, Dur  float64
			PID, TID uint64
			Args     map[string]any
		}
	}
	if err := json.Unmarshal(out.Bytes(), &trace); err != nil {
		t.Fatal(err)
	}
	var spans []string
	for _, e := range trace.TraceEvents {
		if e.Ph == "X" {
			spans = append(spans, fmt.Sprintf("%d %s %g+%g", e.PID, e.Name, e.TS/1e6, e.Dur/1e6))
		}
	}
	want := "[1 sh build.sh 0+10 2 make 1+5 2 zombie 6+1 3 cc1 2+2 3 zombie 4+6 4 ccached 3+7 4 worker 4+6]"
	if fmt.Sprint(spans) != want {
		t.Errorf("got  %v\nwant %s", spans, want)
	}
}

// bigLife is a build of n processes: 100 directories, each with compilers that
// start an assembler; every 50th fails.
func bigLife(n int) *Life {
	l := &Life{Command: []string{"make", "-j8"}, Outcome: "exit 2", Duration: time.Duration(n) * 3 * time.Millisecond}
	add := func(starter uint64, comm string, start, end time.Duration) *LifeProcess {
		id := uint64(len(l.Processes) + 1)
		l.Processes = append(l.Processes, LifeProcess{ID: id, PID: axprocess.PID(1000 + id), PPID: 1, StartedBy: starter, Comm: comm,
			Args: []string{comm, fmt.Sprintf("file%d.c", id)}, Start: start, Ended: true, End: end, Reaped: true, ReapedAt: end + time.Millisecond})
		return &l.Processes[id-1]
	}
	add(0, "make", 0, l.Duration)
	var dir uint64
	for i := 0; len(l.Processes) < n; i++ {
		at := time.Duration(i) * 6 * time.Millisecond
		if i%(n/200+1) == 0 {
			dir = add(1, "sub-make", at, l.Duration).ID
		}
		cc := add(dir, "cc", at, at+30*time.Millisecond).ID
		if len(l.Processes) < n {
			as := add(cc, "as", at+10*time.Millisecond, at+25*time.Millisecond)
			if i%50 == 0 {
				as.Exit = 1
			}
		}
	}
	return l
}

// browser is a page in a Chromium without a window.
type browser struct {
	t      *testing.T
	ctx    context.Context
	thrown []string // the page's errors
}

// openBrowser opens a file.
func openBrowser(t *testing.T, file string) *browser {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("not run: needs chromium (see ./setup), so nobody looked at the page")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WindowSize(1200, 800), chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, func(ev any) {
		if ev, is := ev.(*runtime.EventExceptionThrown); is {
			b.thrown = append(b.thrown, fmt.Sprintf("%+v", ev.ExceptionDetails))
		}
	}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate("file://" + file))
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v; the page's errors: %v", err, b.thrown)
	}
}

// says: what is under a selector contains a text.
func (b *browser) says(selector chromedp.CSS, want string) {
	b.t.Helper()
	b.is("document.querySelector("+strconv.Quote(string(selector))+").textContent", want)
}

// is: what an expression gives contains a text.
func (b *browser) is(expression, want string) {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil || !strings.Contains(got, want) {
		b.t.Errorf("%s is %q, %v; want %q; the page's errors: %v", expression, got, err, want, b.thrown)
	}
}

// click clicks on what a selector finds, wherever a change of layout moves it.
func (b *browser) click(selector chromedp.CSS) {
	b.t.Helper()
	b.do(chromedp.WaitReady(selector))
	b.is("document.querySelector("+strconv.Quote(string(selector))+").click()", "undefined")
}

// TestTimelineInBrowser: with 20,000 processes the page loads without an error,
// only some rows are in the document, search finds a process, a click tells about
// it, keys move, zoom zooms, and threads come on demand.
func TestTimelineInBrowser(t *testing.T) {
	n := 20000
	if testing.Short() {
		n = 2000
	}
	l := bigLife(n)
	last := &l.Processes[n-1]
	last.Comm, last.Args, last.Left, last.Ended, last.Reaped, last.End = "needle", []string{"needle", "--in", "the haystack"}, true, false, false, 0
	last.Threads = []LifeThread{{TID: 9, Comm: "worker", Start: last.Start}}
	file := filepath.Join(t.TempDir(), "life.html")
	var page bytes.Buffer
	if err := Timeline(&page, l); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}

	b := openBrowser(t, file)
	row := func(rest string) chromedp.CSS {
		return chromedp.CSS(fmt.Sprintf(`.row[data-pid="%d"]%s`, last.PID, rest))
	}
	b.do(chromedp.WaitVisible(chromedp.CSS(`.row[data-pid="1001"]`)))
	b.says("#counts", fmt.Sprintf("%d processes", n))
	b.is(`document.querySelectorAll(".row").length < 100`, "true")

	b.do(chromedp.SendKeys(chromedp.CSS("#search"), "haystack"), chromedp.WaitVisible(row(".hit")))
	b.says("#hits", "1 of 1")
	b.click("#close")
	b.do(chromedp.WaitNotVisible(chromedp.CSS("#details")))
	b.click(row(" .name"))
	b.do(chromedp.WaitVisible(chromedp.CSS("#details")))
	b.says("#details", "needle --in the haystack")
	b.says("#details", "it was still there when the command had ended")
	b.is(`document.querySelector('`+string(row(" .bar"))+`').className`, "left")

	b.click("#threads")
	b.do(chromedp.WaitVisible(chromedp.CSS(`.row[data-pid="9"]`)))
	b.says(`.row[data-pid="9"]`, "{worker}")

	b.click("#in")
	b.click("#in")
	b.is("(to - from) * 4 === total", "true")
	b.do(chromedp.Focus(chromedp.CSS("#rows")), chromedp.KeyEvent("0"), chromedp.KeyEvent(kb.Home))
	b.do(chromedp.WaitVisible(chromedp.CSS(`.row[data-pid="1001"][aria-selected="true"]`)))
	b.is("to - from === total", "true")
	b.do(chromedp.KeyEvent(kb.ArrowLeft), chromedp.WaitNotPresent(row("")))
	b.is("rows.length", "1")
	if len(b.thrown) > 0 {
		t.Errorf("the page's errors: %v", b.thrown)
	}
}
