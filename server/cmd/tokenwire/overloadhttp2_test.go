package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// trusting is what a client needs to talk HTTP/2 to a server with --dev-tls.
func trusting(t *testing.T, authority string) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(authority)
	check(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("there is no certificate in the authority's file")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
}

// rude is a client of HTTP/2 that writes what it likes.
type rude struct {
	*http2.Framer
	conn   *tls.Conn
	block  bytes.Buffer
	coder  *hpack.Encoder
	stream uint32
}

// attacksOnHTTP2 are connections with many requests each, none of which has a good credential.
func attacksOnHTTP2(url string, trust *tls.Config) []attack {
	const atOnce = 32
	address := strings.TrimPrefix(url, "https://")
	large := strings.Repeat("x", 4000)
	// again repeats an attack over a new connection when it is cut off.
	again := func(window uint32, do func(context.Context, *rude) error) func(context.Context, func()) {
		return func(ctx context.Context, begun func()) {
			for range 2 {
				conn, err := (&tls.Dialer{Config: trust}).DialContext(ctx, "tcp", address)
				if err != nil {
					return
				}
				r := newRude(conn.(*tls.Conn), window)
				end := context.AfterFunc(ctx, func() { _ = conn.Close() })
				begun()
				err = do(ctx, r)
				end()
				_ = conn.Close()
				if err == nil {
					return
				}
			}
		}
	}
	failedLogIns := func(_ context.Context, r *rude) error {
		for range 2 * atOnce {
			if err := r.request(true, large, large, large, large, large); err != nil {
				return err
			}
		}
		return nil
	}
	return []attack{
		{"failed log-ins with large headers", 150, again(1<<20, failedLogIns)},
		{"answers that nobody takes", 150, again(0, func(ctx context.Context, r *rude) error {
			for range atOnce {
				if err := r.request(true, large, large, large, large, large); err != nil {
					return err
				}
			}
			<-ctx.Done()
			return nil
		})},
		{"bodies that stop before their end", 100, again(1<<20, func(ctx context.Context, r *rude) error {
			for i := range atOnce {
				err := r.request(false, large)
				if i < 4 && err == nil {
					err = r.WriteData(r.stream, false, bytes.Repeat([]byte{' '}, 15<<10))
				}
				if err != nil {
					return err
				}
			}
			<-ctx.Done()
			return nil
		})},
		{"frames that are too large", 100, again(1<<20, func(ctx context.Context, r *rude) error {
			if err := r.WriteRawFrame(0x42, 0, 0, make([]byte, 1<<20)); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		})},
		{"headers that do not end", 100, again(1<<20, func(ctx context.Context, r *rude) error {
			if err := r.begin(false, false, large, large, large); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		})},
		{"large bodies with failed log-ins", 40, func(ctx context.Context, begun func()) {
			transport := &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			begun()
			var wg sync.WaitGroup
			defer wg.Wait()
			for range atOnce {
				wg.Go(func() {
					for range 3 {
						request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+tokensOfFirst, bytes.NewReader(make([]byte, 200<<10)))
						if err != nil {
							return
						}
						request.Header.Set("Content-Type", "application/json")
						request.SetBasicAuth("x", "y")
						if response, err := transport.RoundTrip(request); err == nil {
							_ = response.Body.Close()
						}
					}
				})
			}
		}},
	}
}

const tokensOfFirst = "/api/laml/2010-04-01/Accounts/" + firstProject + "/tokens"

// newRude greets the server and reads, and forgets, whatever it answers. The window is how much of an answer it takes.
func newRude(conn *tls.Conn, window uint32) *rude {
	r := &rude{Framer: http2.NewFramer(conn, conn), conn: conn}
	r.coder = hpack.NewEncoder(&r.block)
	r.stream--
	_, _ = conn.Write([]byte(http2.ClientPreface))
	_ = r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	_ = r.WriteWindowUpdate(0, 1<<30)
	go func() {
		for {
			if _, err := r.ReadFrame(); err != nil {
				return
			}
		}
	}()
	return r
}

// request sends a call that is refused, with further headers.
func (r *rude) request(complete bool, further ...string) error {
	return r.begin(complete, true, further...)
}

func (r *rude) begin(complete, headersEnd bool, further ...string) error {
	r.stream += 2
	r.block.Reset()
	write := func(name, value string) {
		_ = r.coder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true})
	}
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", tokensOfFirst},
		{"authorization", "Basic eDp5"}, {"content-type", "application/json"},
	} {
		write(field[0], field[1])
	}
	for i, text := range further {
		write("x-large-"+string(rune('a'+i)), text)
	}
	block := r.block.Bytes()
	first := block[:min(len(block), 16<<10)]
	rest := block[len(first):]
	err := r.WriteHeaders(http2.HeadersFrameParam{StreamID: r.stream, BlockFragment: first, EndStream: complete, EndHeaders: headersEnd && len(rest) == 0})
	if err == nil && len(rest) > 0 {
		err = r.WriteContinuation(r.stream, headersEnd, rest)
	}
	return err
}
