package server_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// unwilling is a client of HTTP/2, on a connection of its own, that takes so much of each answer and no more.
type unwilling struct {
	*http2.Framer
	conn   *tls.Conn
	block  bytes.Buffer
	coder  *hpack.Encoder
	stream uint32
}

func (s overTLS) unwilling(t *testing.T, window uint32) *unwilling {
	t.Helper()
	conn := s.dial(t, "h2")
	c := &unwilling{Framer: http2.NewFramer(conn, conn), conn: conn}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.coder = hpack.NewEncoder(&c.block)
	c.stream--
	_, err := conn.Write([]byte(http2.ClientPreface))
	if err := errors.Join(err, c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}), c.WriteWindowUpdate(0, 1<<30)); err != nil {
		t.Fatal(err)
	}
	return c
}

// dial opens a connection. It is given up when nothing comes for far longer than a test takes.
func (s overTLS) dial(t *testing.T, protocol string) *tls.Conn {
	t.Helper()
	trust := s.trust.Clone()
	trust.NextProtos = []string{protocol}
	conn, err := (&tls.Dialer{Config: trust}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn.(*tls.Conn)
}

// ask sends a request without a body.
func (c *unwilling) ask(t *testing.T, method, path, authorization string) {
	t.Helper()
	c.stream += 2
	c.block.Reset()
	for _, field := range [][2]string{
		{":method", method}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}, {"authorization", authorization},
	} {
		if err := c.coder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
}

// status waits for the status of the last answer, and says whether that was all of it, or the request was broken off.
func (c *unwilling) status(t *testing.T) string {
	t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			t.Fatalf("the connection has ended: %v", err)
		}
		if frame.Header().StreamID != c.stream {
			continue
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamEnded() {
				return frame.PseudoValue("status") + ", and no more"
			}
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "broken off"
		}
	}
}

// take takes so many bytes of the last answer.
func (c *unwilling) take(t *testing.T, bytes int) {
	t.Helper()
	for bytes > 0 {
		frame, err := c.ReadFrame()
		if err != nil {
			t.Fatalf("the connection has ended: %v", err)
		}
		if data, ok := frame.(*http2.DataFrame); ok && data.StreamID == c.stream {
			bytes -= len(data.Data())
		}
	}
}

// cutOff reads until an answer, or the connection, is broken off, and returns how that was.
func (c *unwilling) cutOff() error {
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return err
		}
		if reset, ok := frame.(*http2.RSTStreamFrame); ok {
			return http2.StreamError{StreamID: reset.StreamID, Code: reset.ErrCode}
		}
	}
}
