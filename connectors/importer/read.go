package importer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"leadstream/state/lead"
)

// maxRecordBytes bounds a record: longer ones are bad lines.
const maxRecordBytes = 1 << 20

// file is one input file that is being read, by lines.
type file struct {
	path string
	// name is what {file} stands for.
	name   string
	closer []io.Closer
	r      *bufio.Reader
	// line is the number of the line that was read last, from 1.
	line int
	// refs are for each ref of the plan the place of its column, or its path in a JSON line.
	refs  []int
	paths [][]string
	width int
}

// openFile opens a file and, if it is compressed, sees through that. It must be closed.
func openFile(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	in := &file{path: path, name: strings.TrimSuffix(filepath.Base(path), ".gz"), closer: []io.Closer{f}, r: bufio.NewReaderSize(f, 1<<16)}
	if magic, err := in.r.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in.r)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), f.Close())
		}
		in.closer = append(in.closer, z)
		in.r = bufio.NewReaderSize(z, 1<<16)
	}
	if mark, err := in.r.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.r.Discard(len(mark)) // it was peeked at, so it is there
	}
	return in, nil
}

func (f *file) close() error {
	var faults []error
	for _, c := range slices.Backward(f.closer) {
		faults = append(faults, c.Close())
	}
	return errors.Join(faults...)
}

var errLong = errors.New("the record is longer than 1 MiB")

// next returns the next line without its end, valid until the next call; io.EOF after the last. A line
// that is too long is errLong, and reading can go on behind it.
func (f *file) next() ([]byte, error) {
	line, err := f.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		whole := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = f.r.ReadSlice('\n')
			if len(whole) <= maxRecordBytes {
				whole = append(whole, line...)
			}
		}
		line = whole
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s after line %d: %w", f.path, f.line, err)
	}
	if len(line) == 0 {
		return nil, io.EOF
	}
	f.line++
	if len(line) > maxRecordBytes {
		return nil, errLong
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// record is one line (or several, when a CSV value holds line ends), cut into columns.
type record struct {
	file    *file
	line    int
	columns []string
	object  lead.Object
	text    []byte
}

// value returns the JSON value that a ref stands for in a JSON line.
func (r *record) value(ref int) lead.Value {
	path := r.file.paths[ref]
	v := r.object.Get(path[0])
	for _, step := range path[1:] {
		v = v.Object().Get(step)
	}
	return v
}

// column returns a column's text, "" if there is none.
func (r *record) column(ref int) string {
	if r.file.paths == nil {
		return r.columns[r.file.refs[ref]]
	}
	switch v := r.value(ref); v.Kind {
	case lead.Absent, lead.Null:
		return ""
	case lead.String:
		return v.Str()
	default:
		return string(v.Text)
	}
}

var (
	errQuote   = errors.New("a quote is never closed")
	errColumns = errors.New("the number of columns is not the header's")
)

// read reads the next record into r. Errors but io.EOF and those that come from the disk are about this
// record alone.
func (f *file) read(p *plan, r *record) error {
	line, err := f.next()
	r.line = f.line
	if err != nil {
		return err
	}
	r.text = line
	if len(bytes.TrimSpace(line)) == 0 {
		r.text = nil
		return nil
	}
	switch p.Format {
	case formatFields:
		r.columns = strings.Fields(string(line))
	case formatJSONL:
		r.object, err = lead.ParseObject(line)
		return err
	case formatSegment:
		return nil
	default:
		if r.columns, err = f.readCSV(line, p.delimiter, r.columns[:0]); err != nil {
			return err
		}
	}
	if f.width > 0 && len(r.columns) != f.width {
		return errColumns
	}
	return nil
}

// readCSV splits a record, reading on while a quoted value goes on.
func (f *file) readCSV(line []byte, delimiter byte, into []string) ([]string, error) {
	if bytes.IndexByte(line, '"') < 0 {
		for part := range strings.SplitSeq(string(line), string(delimiter)) {
			into = append(into, part)
		}
		return into, nil
	}
	s := splitter{delimiter: string(delimiter), columns: into}
	size := len(line)
	for !s.add(string(line)) {
		var err error
		if line, err = f.next(); errors.Is(err, io.EOF) {
			return nil, errQuote
		} else if err != nil {
			return nil, err
		}
		if size += len(line) + 1; size > maxRecordBytes {
			return nil, errLong
		}
	}
	return s.columns, nil
}

// splitter splits a record with quotes, line by line. A quote inside an unquoted value is itself.
type splitter struct {
	delimiter string
	columns   []string
	// value is what has been read of a quoted value that goes on; open says that there is one.
	value strings.Builder
	open  bool
}

// add takes the record's next line and says whether the record ends with it.
func (s *splitter) add(text string) bool {
	if s.open {
		s.value.WriteByte('\n')
	}
	for {
		if !s.open && !strings.HasPrefix(text, `"`) {
			value, rest, more := strings.Cut(text, s.delimiter)
			s.columns = append(s.columns, value)
			if !more {
				return true
			}
			text = rest
			continue
		}
		if !s.open {
			text = text[1:]
			s.open = true
			s.value.Reset()
		}
		for s.open {
			i := strings.IndexByte(text, '"')
			if i < 0 {
				s.value.WriteString(text)
				return false
			}
			s.value.WriteString(text[:i])
			if text = text[i+1:]; strings.HasPrefix(text, `"`) {
				s.value.WriteByte('"')
				text = text[1:]
			} else {
				s.open = false
			}
		}
		// What follows a closing quote up to the delimiter belongs to the value, as spreadsheets have it.
		tail, rest, more := strings.Cut(text, s.delimiter)
		s.value.WriteString(tail)
		s.columns = append(s.columns, s.value.String())
		if !more {
			return true
		}
		text = rest
	}
}

// begin skips what comes before the data and finds the columns that the plan's templates use.
func (f *file) begin(p *plan) error {
	for range p.SkipLines {
		if _, err := f.next(); err != nil && !errors.Is(err, errLong) {
			return err
		}
	}
	switch p.Format {
	case formatSegment:
		return nil
	case formatJSONL:
		f.paths = make([][]string, len(p.columns))
		for i, name := range p.columns {
			f.paths[i] = strings.Split(name, ".")
		}
		return nil
	}
	names := p.Columns
	if p.header {
		var r record
		if err := f.read(p, &r); err != nil {
			return err
		}
		if len(names) == 0 {
			names = r.columns
		}
	}
	f.width = len(names)
	for _, name := range p.columns {
		i := slices.IndexFunc(names, func(have string) bool { return strings.TrimSpace(have) == name })
		if i < 0 {
			return fmt.Errorf("reading %s: %w: there is no column %q; columns are %s", f.path, ErrMapping, name, strings.Join(names, ", "))
		}
		f.refs = append(f.refs, i)
	}
	return nil
}
