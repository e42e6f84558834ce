package client

import (
	"slices"

	"github.com/tokenwire/tokenwire/gen/clientapi"
)

// Permission is one thing that a token may do; SignalWire's dashboard calls it a scope.
type Permission string

// The permissions that the Compatibility API documents.
const (
	PermissionCalling    = Permission(clientapi.PermissionCalling)
	PermissionChat       = Permission(clientapi.PermissionChat)
	PermissionDatasphere = Permission(clientapi.PermissionDatasphere)
	PermissionFax        = Permission(clientapi.PermissionFax)
	// PermissionManagement is the one that the operations of this package need.
	PermissionManagement = Permission(clientapi.PermissionManagement)
	PermissionMessaging  = Permission(clientapi.PermissionMessaging)
	PermissionNumbers    = Permission(clientapi.PermissionNumbers)
	PermissionPubSub     = Permission(clientapi.PermissionPubsub)
	PermissionStorage    = Permission(clientapi.PermissionStorage)
	PermissionTasking    = Permission(clientapi.PermissionTasking)
	PermissionVideo      = Permission(clientapi.PermissionVideo)
)

// AllPermissions returns the documented permissions in alphabetical order.
func AllPermissions() []Permission {
	return []Permission{
		PermissionCalling, PermissionChat, PermissionDatasphere, PermissionFax, PermissionManagement,
		PermissionMessaging, PermissionNumbers, PermissionPubSub, PermissionStorage, PermissionTasking,
		PermissionVideo,
	}
}

// PermissionChange says what an update does to the permissions of a token. The zero value keeps them; the
// others come from [SetPermissions] and [NoPermissions].
type PermissionChange struct {
	kind permissionChangeKind
	set  []Permission
}

type permissionChangeKind int

const (
	keepPermissions permissionChangeKind = iota
	replacePermissions
	clearPermissions
)

// SetPermissions replaces the permissions of a token with these. Duplicates count once, and the order
// means nothing. Without any permission the update is refused before it is sent; to take all permissions
// away on purpose, use [NoPermissions].
func SetPermissions(permissions ...Permission) PermissionChange {
	return PermissionChange{kind: replacePermissions, set: slices.Clone(permissions)}
}

// NoPermissions takes all permissions away. The token still authenticates, and may do nothing.
func NoPermissions() PermissionChange {
	return PermissionChange{kind: clearPermissions}
}

// wire returns the property to send; nil leaves it out.
func (p PermissionChange) wire() (*[]clientapi.Permission, error) {
	if p.kind == keepPermissions {
		return nil, nil
	}
	if p.kind == replacePermissions && len(p.set) == 0 {
		return nil, &ArgumentError{
			Argument: "Permissions",
			Reason:   "SetPermissions without a permission; take all away with NoPermissions, or leave the field unset to keep them",
		}
	}
	return new(wirePermissions(p.set)), nil
}

// wirePermissions never returns nil, which JSON would write as null.
func wirePermissions(permissions []Permission) []clientapi.Permission {
	out := make([]clientapi.Permission, len(permissions))
	for i, p := range permissions {
		out[i] = clientapi.Permission(p)
	}
	return out
}
