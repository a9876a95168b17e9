package kerneltype

import (
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// TestField compares with what a library that reads all of the types says.
func TestField(t *testing.T) {
	types, err := Load()
	if os.IsNotExist(err) {
		t.Skip("not run: needs a kernel with type information (/sys/kernel/btf/vmlinux)")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer types.Close()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	for of, fields := range map[string][]string{
		"task_struct":    {"pid", "tgid", "real_parent", "start_boottime", "signal", "sighand", "exit_code", "mm"},
		"signal_struct":  {"pids", "group_exit_code", "is_child_subreaper"}, // the last is a bit field
		"mm_struct":      {"arg_start", "arg_end"},                          // in an unnamed struct
		"sighand_struct": {"action"},
		"pid":            {"numbers"},
		"sock":           {"sk_refcnt"},
	} {
		var s *btf.Struct
		if err := kernel.TypeByName(of, &s); err != nil {
			t.Fatal(err)
		}
		for _, field := range fields {
			want, known := member(s, field)
			got, err := types.Field(of, field)
			if (err == nil) != known || got != uint32(want) {
				t.Errorf("%s.%s is at %d, %v; want %d, known %v", of, field, got, err, want, known)
			}
		}
	}
	for _, none := range [][2]string{{"task_struct", "no_such_field"}, {"no_such_struct", "pid"}, {"task_struct", ""}, {"", "pid"}} {
		if _, err := types.Field(none[0], none[1]); err == nil {
			t.Errorf("%v was found", none)
		}
	}
}

func member(of btf.Type, name string) (btf.Bits, bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(of).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == name {
			return m.Offset, true
		}
		if m.Name == "" {
			if at, found := member(m.Type, name); found {
				return m.Offset + at, true
			}
		}
	}
	return 0, false
}

// FuzzParse: whatever is read, it is refused or can be looked into.
func FuzzParse(f *testing.F) {
	b, err := btf.NewBuilder([]btf.Type{
		&btf.Struct{Name: "outer", Size: 8, Members: []btf.Member{
			{Name: "first", Type: &btf.Int{Name: "int", Size: 4}},
			{Type: &btf.Union{Size: 4, Members: []btf.Member{{Name: "inner", Type: &btf.Int{Size: 4}}}}, Offset: 32}}},
	}, nil)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	types, err := Parse(raw)
	if err != nil {
		f.Fatal(err)
	}
	if bits, err := types.Field("outer", "inner"); bits != 32 || err != nil {
		f.Fatalf("at %d, %v", bits, err)
	}
	f.Add(raw)
	for n := range raw {
		f.Add(raw[:n])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		types, err := Parse(raw)
		if err != nil {
			return
		}
		_, _ = types.Field("outer", "inner")
		_, _ = types.Field("outer", "none")
	})
}
