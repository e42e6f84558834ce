package contract

import (
	"net/http"
	"slices"
)

// deleteCases is what a deletion promises, on each surface, and that the surfaces have the same tokens.
func deleteCases() []Case {
	return slices.Concat(
		onBoth("delete.answer", "a deletion is answered 204, without a body", "Compatibility surface", deleteAnswer),
		onBoth("delete.secret-dies", "the request after a deletion is refused, and those after it", "decision 12", deleteKills),
		onBoth("delete.twice", "a deleted token does not exist any more: 404 for a deletion and an update", "Compatibility surface", deleteTwice),
		onBoth("delete.others-live", "the deletion of one token leaves another alone", "openapi.yaml: delete_token", deleteKeepsOthers),
		onBoth("delete.itself", "a token may delete itself", "decision 12", deleteItself),
		onBoth("delete.body-ignored", "a body of a deletion is ignored", "openapi.yaml: delete_token", deleteWithBody),
		onBoth("delete.unknown-token", "a token that does not exist is answered 404", "Compatibility surface", deleteUnknown),
		onBoth("delete.bad-id", "an id that is no UUID is answered 400", "decision 4", deleteBadID),
		onBoth("shared", "what one surface makes, the other changes and deletes", "Native surface", shared),
	)
}

func deleteAnswer(t *trial, s surface) {
	k := t.create(s, "fax")
	got := t.delete(s.token(t, k.id)).want(http.StatusNoContent)
	if length := got.header.Get("Content-Length"); length != "" && length != "0" {
		t.fail(got.exchange, "Content-Length is %s", length)
	}
	t.delete(s.token(t, k.id)).want(http.StatusNotFound)
}

func deleteKills(t *trial, s surface) {
	k := t.create(s, "management")
	t.works(k.credential())
	t.delete(s.token(t, k.id)).want(http.StatusNoContent)
	for range 2 {
		t.fails(k.credential())
	}
}

func deleteTwice(t *trial, s surface) {
	k := t.create(s, "fax")
	t.delete(s.token(t, k.id)).want(http.StatusNoContent)
	t.delete(s.token(t, k.id)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.patch(s.token(t, k.id)).json(object{}).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
}

func deleteKeepsOthers(t *trial, s surface) {
	one, other := t.create(s, "management"), t.create(s, "management")
	t.delete(s.token(t, one.id)).want(http.StatusNoContent)
	t.works(other.credential())
	t.expect(s, other)
}

func deleteItself(t *trial, s surface) {
	k := t.create(s, "management")
	t.delete(s.token(t, k.id)).as(k.credential()).want(http.StatusNoContent)
	t.fails(k.credential())
}

func deleteWithBody(t *trial, s surface) {
	k := t.create(s, "fax")
	t.delete(s.token(t, k.id)).text(jsonType, `{"ignored":`).want(http.StatusNoContent)
	t.delete(s.token(t, k.id)).want(http.StatusNotFound)
}

func deleteUnknown(t *trial, s surface) {
	t.delete(s.token(t, unknownID)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
}

func deleteBadID(t *trial, s surface) {
	for _, id := range badIDs() {
		t.delete(s.token(t, id)).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	}
}

func shared(t *trial, s surface) {
	k := t.create(s, "fax")
	k.name = t.name()
	t.patch(s.other().token(t, k.id)).json(object{"name": k.name}).want(http.StatusOK)
	t.expect(s, k)
	t.delete(s.other().token(t, k.id)).want(http.StatusNoContent)
	t.patch(s.token(t, k.id)).json(object{}).want(http.StatusNotFound)
}
