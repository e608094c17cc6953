// Where the provider tells this app that a user signed out, server to server: OpenID Connect Back-Channel Logout 1.0.

using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;

namespace Monolith.SignIn;

// It brings no cookie, so there is no antiforgery token either: the signature is what counts.
[AllowAnonymous]
[IgnoreAntiforgeryToken]
public sealed class BackChannelLogoutController(
    LogoutTokenValidator validator, SessionStore sessions, ILogger<BackChannelLogoutController> logger) : Controller
{
    /// <summary>Registered as backchannel_logout_uri.</summary>
    [HttpPost("/signout-backchannel")]
    public async Task<IActionResult> Receive([FromForm(Name = "logout_token")] string? logoutToken)
    {
        // Section 2.8.
        Response.Headers.CacheControl = "no-store";
        var token = logoutToken is null
            ? null
            : await validator.ValidateAsync(logoutToken, HttpContext.RequestAborted);
        if (token is null)
        {
            return BadRequest(new { error = "invalid_request", error_description = "the logout token is not good" });
        }
        var ended = sessions.End(token.Sid, token.Sub);
        logger.LogInformation("the provider ended {Count} sessions", ended);
        return Ok();
    }
}
