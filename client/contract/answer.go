package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
)

// CheckAnswer holds one answer against the contract, without a run: its status, its headers and its body must be documented
// for the operation that the method and the URI mean. What is no operation must be answered 404 or 405, as the contract says. The
// URI has the path and the query, escaped as they were sent. Answers that are no JSON, those of the pages below /docs, are beyond it.
func CheckAnswer(method, uri string, status int, header http.Header, body []byte) error {
	s, err := contractSpec()
	if err != nil {
		return err
	}
	ex := &exchange{call: &call{method: method, path: uri}, status: status, header: header, body: body, decoded: decodeJSON(body)}
	if difference := s.check(ex); difference != "" {
		return newRedactor(credential{}).error(errors.New(difference))
	}
	return nil
}

// decodeJSON returns nil unless the text is JSON, and nothing else.
func decodeJSON(text []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var value any
	if decoder.Decode(&value) != nil || decoder.More() {
		return nil
	}
	return value
}
