package guard

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
)

// refusal is the body of an error, as tokenwire documents it.
type refusal struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

// refuse answers a request that is not let through. What went wrong between here and tokenwire is not told.
func (g *Guard) refuse(w http.ResponseWriter, err error) {
	status, said := statusOf(err)
	body := refusal{Code: codeOf(status), Message: cmp.Or(said.Message, http.StatusText(status)), Status: status} // a proxy says nothing
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="tokenwire", charset="UTF-8"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(seconds(said.RetryAfter)))
	}
	if status == http.StatusServiceUnavailable {
		body.Message = "The service is not available at the moment. Try again"
	}
	body.MoreInfo = g.public + "/docs/errors#" + strconv.Itoa(body.Code)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // there is nobody to tell
}

// codeOf returns the vendor's code.
func codeOf(status int) int {
	switch status {
	case http.StatusTooManyRequests:
		return 20429
	case http.StatusServiceUnavailable:
		return 20001
	}
	return 20003
}
