// The sessions of this app: the cookie holds a key only, and the ticket with its claims and tokens is stored here. So the
// provider can end a session from outside (back-channel logout), which a cookie alone cannot do.
//
// In memory, for one node. For several, keep the same four columns in a table that all of them see: key, ticket, sid, sub.

using System.Collections.Concurrent;
using System.Security.Claims;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;

namespace Monolith.SignIn;

public sealed class SessionStore(TimeProvider clock) : ITicketStore
{
    private readonly ConcurrentDictionary<string, Session> sessions = new();

    private sealed record Session(byte[] Ticket, string? Sid, string? Sub, DateTimeOffset? ExpiresAt);

    public Task<string> StoreAsync(AuthenticationTicket ticket)
    {
        RemoveExpired();
        var key = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));
        sessions[key] = SessionOf(ticket);
        return Task.FromResult(key);
    }

    public Task RenewAsync(string key, AuthenticationTicket ticket)
    {
        // Only what is still there: a session that was ended a moment ago must not come back with a new token.
        if (sessions.TryGetValue(key, out var current))
        {
            sessions.TryUpdate(key, SessionOf(ticket), current);
        }
        return Task.CompletedTask;
    }

    public Task<AuthenticationTicket?> RetrieveAsync(string key)
    {
        var ticket = sessions.TryGetValue(key, out var session)
            ? TicketSerializer.Default.Deserialize(session.Ticket)
            : null;
        return Task.FromResult(ticket);
    }

    public Task RemoveAsync(string key)
    {
        sessions.TryRemove(key, out _);
        return Task.CompletedTask;
    }

    /// <summary>
    /// Ends what a logout token names (Back-Channel Logout 1.0 section 2.7): the session with that sid, or, where there
    /// is none, every session of that person. Says how many there were.
    /// </summary>
    public int End(string? sid, string? sub)
    {
        var named = sessions
            .Where(entry => sid is not null ? entry.Value.Sid == sid : sub is not null && entry.Value.Sub == sub)
            .Select(entry => entry.Key)
            .ToList();
        return named.Count(key => sessions.TryRemove(key, out _));
    }

    private void RemoveExpired()
    {
        var now = clock.GetUtcNow();
        foreach (var entry in sessions.Where(entry => entry.Value.ExpiresAt < now))
        {
            sessions.TryRemove(entry.Key, out _);
        }
    }

    private static Session SessionOf(AuthenticationTicket ticket) => new(
        TicketSerializer.Default.Serialize(ticket),
        ticket.Principal.FindFirstValue("sid"),
        ticket.Principal.FindFirstValue("sub"),
        ticket.Properties.ExpiresUtc);
}
