// What a logout token must be: OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6.

using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Monolith.SignIn;

/// <summary>Whose session ended: sid names the session, sub the person; one of them is there at least.</summary>
public sealed record LogoutToken(string? Sid, string? Sub);

public sealed class LogoutTokenValidator(
    IOptionsMonitor<OpenIdConnectOptions> options, TimeProvider clock, ILogger<LogoutTokenValidator> logger)
{
    private const string Event = "http://schemas.openid.net/event/backchannel-logout";

    /// <summary>A token is not older than this, however long it says that it is good.</summary>
    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(5);

    /// <summary>By how much two clocks may differ.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(1);

    /// <summary>The jti of tokens that were used. Only tokens whose signature is good come in here.</summary>
    private readonly ConcurrentDictionary<string, DateTimeOffset> used = new();

    /// <summary>Gives what the token says, or null: it is not used, and the log says why.</summary>
    public async Task<LogoutToken?> ValidateAsync(string token, CancellationToken cancellation)
    {
        var provider = options.Get(OpenIdConnectDefaults.AuthenticationScheme);
        var configuration = await provider.ConfigurationManager!.GetConfigurationAsync(cancellation);
        var result = await new JsonWebTokenHandler().ValidateTokenAsync(token, new TokenValidationParameters
        {
            // No id_token and no access token is ever taken for a logout token.
            ValidTypes = new[] { "logout+jwt" },
            ValidAlgorithms = new[] { SecurityAlgorithms.RsaSha256 },
            ValidIssuer = configuration.Issuer,
            ValidAudience = provider.ClientId,
            IssuerSigningKeys = configuration.SigningKeys,
            ClockSkew = Skew,
        });
        if (!result.IsValid)
        {
            if (result.Exception is SecurityTokenSignatureKeyNotFoundException)
            {
                // A key that is newer than what we know. The provider tries again in a few seconds.
                provider.ConfigurationManager.RequestRefresh();
            }
            return Refuse(result.Exception?.Message ?? "it is not valid");
        }

        var encoded = ((JsonWebToken)result.SecurityToken).EncodedPayload;
        using var payload = JsonDocument.Parse(Base64UrlEncoder.Decode(encoded));
        var claims = payload.RootElement;
        var now = clock.GetUtcNow();

        if (!claims.TryGetProperty("iat", out var iat)
            || iat.ValueKind != JsonValueKind.Number
            || !iat.TryGetInt64(out var seconds))
        {
            return Refuse("iat is not there or no whole number");
        }
        var issuedAt = DateTimeOffset.FromUnixTimeSeconds(seconds);
        if (issuedAt > now + Skew || issuedAt < now - MaxAge - Skew)
        {
            return Refuse("iat is not of these minutes");
        }
        if (!claims.TryGetProperty("events", out var events)
            || events.ValueKind != JsonValueKind.Object
            || !events.TryGetProperty(Event, out var logout)
            || logout.ValueKind != JsonValueKind.Object)
        {
            return Refuse("events does not name a logout");
        }
        if (claims.TryGetProperty("nonce", out _))
        {
            return Refuse("nonce is there, which is an id_token's");
        }
        var sid = Text(claims, "sid");
        var sub = Text(claims, "sub");
        if (sid is null && sub is null)
        {
            return Refuse("neither sid nor sub is there");
        }
        // Last, so that a token that is refused for another reason does not use its jti up.
        var jti = Text(claims, "jti");
        if (jti is null || !IsNew(jti, now))
        {
            return Refuse("jti is missing or was used");
        }
        return new LogoutToken(sid, sub);
    }

    private bool IsNew(string jti, DateTimeOffset now)
    {
        foreach (var entry in used.Where(entry => entry.Value < now))
        {
            used.TryRemove(entry.Key, out _);
        }
        return used.TryAdd(jti, now + MaxAge + Skew + Skew);
    }

    private static string? Text(JsonElement claims, string name) =>
        claims.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    private LogoutToken? Refuse(string reason)
    {
        logger.LogWarning("a logout token was refused: {Reason}", reason);
        return null;
    }
}
