package axprocess

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// savedFile returns a saved table with something of everything in it.
func savedFile(t testing.TB) []byte {
	t.Helper()
	h := randomTable(rand.New(rand.NewPCG(11, 12)).IntN, 400, WithEvents(10), WithLineage(2))
	var file bytes.Buffer
	if err := h.table.Save(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// refusedAt asserts that a file is refused, and returns where and why.
func refusedAt(t *testing.T, file []byte) *FormatError {
	t.Helper()
	_, err := Restore(bytes.NewReader(file))
	var wrong *FormatError
	if !errors.As(err, &wrong) || wrong.Line < 1 || wrong.Reason == "" {
		t.Fatalf("a damaged file gave %v\n%s", err, file)
	}
	return wrong
}

// TestTruncatedIsRefused: wherever the file is cut, with the line.
func TestTruncatedIsRefused(t *testing.T) {
	file := savedFile(t)
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := 0; n < len(file)-1; n += step {
		if got, want := refusedAt(t, file[:n]).Line, 1+bytes.Count(file[:n], []byte("\n")); got != want {
			t.Fatalf("cut after %d bytes: line %d, want %d", n, got, want)
		}
	}
}

// TestChangedIsRefused: whichever byte is changed.
func TestChangedIsRefused(t *testing.T) {
	file := savedFile(t)
	step := 1
	if testing.Short() {
		step = 7
	}
	last := bytes.LastIndexByte(file[:len(file)-1], '\n')
	for at := 0; at < len(file)-1; at += step {
		changed := bytes.Clone(file)
		changed[at] ^= 1 << (at % 7)
		if at > last && strings.EqualFold(string(changed[last:]), string(file[last:])) {
			continue // the case of a letter in the last line's keys makes no difference
		}
		refusedAt(t, changed)
	}
}

// resealed gives a changed file a fitting last line, so that only its contents can
// be what it is refused for.
func resealed(file []byte) []byte {
	lines := bytes.SplitAfter(file, []byte("\n"))
	var to bytes.Buffer
	out := &lineWriter{w: &to, sum: sha256.New()}
	for _, line := range lines[:len(lines)-2] {
		out.sum.Write(line)
		to.Write(line)
		out.n++
	}
	out.line(saveLine{End: &saveEnd{out.n, fmt.Sprintf("%x", out.sum.Sum(nil))}})
	return to.Bytes()
}

// smallFile returns a saved table of four processes in two sessions, with threads
// and a vfork.
func smallFile(t testing.TB) []byte {
	t.Helper()
	table := NewTable()
	init := must(table.NewInit(1).Leader(nil).Build())
	p := must(init.Fork(800).Leader(nil).Build())
	must(p.Fork(812).Build())
	must(init.Fork(900).Vfork().Leader(nil).Build())
	must(p.Setsid())
	var file bytes.Buffer
	if err := table.Save(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestContradictionsAreRefused: files that are whole and can't be. Each names the
// line and what is wrong there.
func TestContradictionsAreRefused(t *testing.T) {
	file := smallFile(t)
	refusedSeals := map[string]string{ // what to change, to what: the reason
		`"parent":800=>"parent":801`:                           "line 8: process 812: its parent 801 does not exist",
		`{"pid":812,=>{"pid":800,`:                             "line 8: process 800: it is listed twice",
		`"parent":1,"birth":1=>"parent":812,"birth":1`:         "line 7: process 800: it is its own ancestor",
		`"members":[1,812,900]=>"members":[1,812]`:             "line 9: process 900: group 1 does not list it",
		`"members":[800]=>"members":[]`:                        "line 5: group 800: it has no member",
		`"groups":[800]=>"groups":[]`:                          "line 3: session 800: it has no group",
		`"sid":800,"id":10=>"sid":800,"id":1`:                  "is given twice",
		`"state":"running"=>"state":"zombie"`:                  "no cause says how it ended",
		`"state":"running"=>"state":"sleeping"`:                `"sleeping" is no state`,
		`"init":1,=>"init":812,`:                               "line 1: table: the init 812 has a parent",
		`"init":1,=>"init":0,`:                                 "there are processes and no init",
		`"max_pid":4194304=>"max_pid":850`:                     "its number is not in 1…849",
		`"max_pid":4194304=>"max_pid":1`:                       "with numbers below 1 only",
		`"cursor":0=>"cursor":-5`:                              "chosen last",
		`"births":3=>"births":2`:                               "is not in 1…2",
		`"birth":2=>"birth":1`:                                 "is that of 800",
		`"threads":[{"tid":800=>"threads":[{"tid":812`:         "has the number of another process",
		`"had_threads":true=>"leader_exited":true`:             "its leader has exited and is listed",
		`"vfork_of":1=>"vfork_of":800`:                         "it holds 800 by vfork, which can't be",
		`"exit_signal":17=>"exit_signal":99`:                   "exit signal 99",
		`"exit_signal":17=>"exit_signal":17,"caught":256`:      "dispositions contradict",
		`"exit_signal":17=>"exit_signal":17,"colour":"blue"`:   `unknown field "colour"`,
		`"exit_signal":17=>"exit_signal":17,"stopped":70`:      "stopped by signal 70",
		`"exit_signal":17=>"exit_signal":17,"terminal":true`:   "I14",
		`"processes":4=>"processes":5`:                         "a process is expected here",
		`"processes":4=>"processes":3`:                         "a end is expected here",
		`"processes":4=>"processes":-4`:                        "-4 of a kind",
		`"version":1=>"version":2`:                             "line 1: version 2 is not 1",
		`"axprocess snapshot"=>"something else"`:               "line 1: this is no axprocess snapshot",
		`"pid":800,"id":5=>"subreaper":true,"pid":800,"id":5`:  "is not marked as below subreaper",
		`"exit_signal":17=>"exit_signal":17,"chosen_thread":9`: "chosen for a signal",
	}
	for change, want := range refusedSeals {
		from, to, _ := strings.Cut(change, "=>")
		if !bytes.Contains(file, []byte(from)) {
			t.Errorf("%s is not in the file:\n%s", from, file)
			continue
		}
		err := refusedAt(t, resealed(bytes.Replace(file, []byte(from), []byte(to), 1)))
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", change, err, want)
		}
	}
}

// TestOversizedIsRefused: a line without end, without reading it into memory.
func TestOversizedIsRefused(t *testing.T) {
	head, _, _ := bytes.Cut(savedFile(t), []byte("\n"))
	endless := io.MultiReader(bytes.NewReader(append(head, '\n')), &zeros{left: 10 * maxSaveLine})
	_, err := Restore(endless)
	var wrong *FormatError
	if !errors.As(err, &wrong) || wrong.Line != 2 || !strings.Contains(wrong.Reason, "longer than") {
		t.Errorf("an endless line gave %v", err)
	}
}

type zeros struct{ left int }

func (z *zeros) Read(b []byte) (int, error) {
	if z.left <= 0 {
		return 0, errors.New("read on after the limit")
	}
	clear(b)
	z.left -= len(b)
	return len(b), nil
}

// TestErrorsOfTheReaderAndWriterPass: what is no fault of the file is not called
// one.
func TestErrorsOfTheReaderAndWriterPass(t *testing.T) {
	broken := errors.New("broken pipe")
	file := savedFile(t)
	r, w := io.Pipe()
	go func() { w.Write(file[:len(file)/2]); w.CloseWithError(broken) }()
	if _, err := Restore(r); !errors.Is(err, broken) {
		t.Errorf("Restore: %v", err)
	}
	r.CloseWithError(broken)
	if err := must(Restore(bytes.NewReader(file))).Save(w); err == nil {
		t.Error("Save to a closed pipe succeeded")
	}
}

// TestLoadLeavesTheRest: what follows the last line is the caller's.
func TestLoadLeavesTheRest(t *testing.T) {
	in := bufio.NewReader(io.MultiReader(bytes.NewReader(savedFile(t)), strings.NewReader("more\n")))
	must(LoadSnapshot(in))
	if rest, err := io.ReadAll(in); string(rest) != "more\n" || err != nil {
		t.Errorf("left: %q, %v", rest, err)
	}
}

// restoresSoundly asserts that a file is refused, or gives a table that Check
// passes and that is saved as what it is.
func restoresSoundly(t testing.TB, file []byte) {
	table, err := Restore(bytes.NewReader(file))
	if err != nil {
		return
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := table.Save(&again); err != nil {
		t.Fatal(err)
	}
	back, err := Restore(&again)
	if err != nil {
		t.Fatal(err)
	}
	if diff := sameSnapshot(back.Snapshot(), table.Snapshot()); diff != "" {
		t.Fatal(diff)
	}
}

// TestAnyNumberChanged: a file in which any number or word is that of another place
// is refused, or is sound; it goes on without a panic.
func TestAnyNumberChanged(t *testing.T) {
	rounds := 20_000
	if testing.Short() {
		rounds = 2_000
	}
	value := regexp.MustCompile(`-?[0-9]+|true|"(running|exiting|zombie|exited|killed|stopped|continued)"`)
	rnd := rand.New(rand.NewPCG(21, 22))
	for _, file := range [][]byte{smallFile(t), savedFile(t)} {
		head := bytes.IndexByte(file, '\n')
		places := value.FindAllIndex(file[:bytes.LastIndexByte(file[:len(file)-1], '\n')], -1)
		for range rounds / 2 {
			at, from := places[rnd.IntN(len(places))], places[rnd.IntN(len(places))]
			if at[0] < head && rnd.IntN(4) > 0 {
				continue
			}
			changed := append(bytes.Clone(file[:at[0]]), file[from[0]:from[1]]...)
			restoresSoundly(t, resealed(append(changed, file[at[1]:]...)))
		}
	}
}

// FuzzRestore: no file makes Restore panic, or gives a table that is not sound.
func FuzzRestore(f *testing.F) {
	file := smallFile(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Fuzz(func(t *testing.T, lines []byte) {
		restoresSoundly(t, lines)
		restoresSoundly(t, resealedOrNot(lines))
	})
}

func resealedOrNot(lines []byte) []byte {
	if bytes.Count(lines, []byte("\n")) < 2 {
		return lines
	}
	return resealed(lines)
}

// TestSavedFileFitsSchema: each line of saved files is what docs/snapshot.schema.json
// says.
func TestSavedFileFitsSchema(t *testing.T) {
	schema := readSchema(t)
	for i, line := range bytes.Split(bytes.TrimSpace(savedFile(t)), []byte("\n")) {
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		kind := "line"
		if i == 0 {
			kind = "head"
		}
		if err := schema.fits(schema.def(kind), v); err != nil {
			t.Errorf("line %d: %v\n%s", i+1, err, line)
		}
	}
}

// TestSchemaNamesEachField: the schema's objects have exactly the fields of the
// structs that are saved.
func TestSchemaNamesEachField(t *testing.T) {
	schema := readSchema(t)
	for name, v := range map[string]any{
		"head": saveHead{}, "line": saveLine{}, "session": SessionImage{}, "group": GroupImage{}, "process": ProcessImage{},
		"thread": ThreadImage{}, "own": ThreadAttributes{}, "handler_mask": HandlerMask{}, "siginfo": SigInfo{}, "ancestor": AncestorImage{},
		"credentials": Credentials{}, "end": saveEnd{},
	} {
		fields := map[string]bool{}
		jsonFields(reflect.TypeOf(v), fields)
		properties := schema.def(name)["properties"].(map[string]any)
		for field := range fields {
			if properties[field] == nil {
				t.Errorf("the schema's %s has no %q", name, field)
			}
		}
		for field := range properties {
			if !fields[field] {
				t.Errorf("%T has no %q, which the schema's %s has", v, field, name)
			}
		}
	}
}

func jsonFields(of reflect.Type, to map[string]bool) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			jsonFields(f.Type, to)
		case f.IsExported() && name != "-":
			to[name] = true
		}
	}
}

// jsonSchema knows as much of JSON Schema as docs/snapshot.schema.json uses.
type jsonSchema map[string]any

func readSchema(t *testing.T) jsonSchema {
	t.Helper()
	text, err := os.ReadFile("docs/snapshot.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s jsonSchema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s jsonSchema) def(name string) map[string]any {
	return s["$defs"].(map[string]any)[name].(map[string]any)
}

func (s jsonSchema) fits(rule map[string]any, v any) error {
	if ref, is := rule["$ref"].(string); is {
		return s.fits(s.def(strings.TrimPrefix(ref, "#/$defs/")), v)
	}
	if enum, is := rule["enum"].([]any); is {
		for _, one := range enum {
			if fmt.Sprint(one) == fmt.Sprint(v) {
				return nil
			}
		}
		return fmt.Errorf("%v is none of %v", v, enum)
	}
	switch v := v.(type) {
	case map[string]any:
		return s.fitsObject(rule, v)
	case []any:
		for _, item := range v {
			if err := s.fits(rule["items"].(map[string]any), item); err != nil {
				return err
			}
		}
		return typed(rule, "array")
	case json.Number:
		low, limited := rule["minimum"].(float64)
		if f, _ := v.Float64(); limited && f < low || strings.ContainsAny(v.String(), ".e") {
			return fmt.Errorf("%s is below %v or no integer", v, low)
		}
		return typed(rule, "integer")
	case string:
		return typed(rule, "string")
	case bool:
		return typed(rule, "boolean")
	}
	return fmt.Errorf("%v is of no type", v)
}

func typed(rule map[string]any, is string) error {
	if rule["type"] != is {
		return fmt.Errorf("%s where %v is expected", is, rule["type"])
	}
	return nil
}

func (s jsonSchema) fitsObject(rule, v map[string]any) error {
	properties, _ := rule["properties"].(map[string]any)
	for name, value := range v {
		of, known := properties[name].(map[string]any)
		if !known {
			return fmt.Errorf("%q is unknown", name)
		}
		if err := s.fits(of, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	required, _ := rule["required"].([]any)
	for _, name := range required {
		if v[name.(string)] == nil {
			return fmt.Errorf("%q is missing", name)
		}
	}
	return typed(rule, "object")
}
