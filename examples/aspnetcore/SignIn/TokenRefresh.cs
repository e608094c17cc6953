// Access tokens live for minutes and sessions for hours: before one ends, this gets the next with the refresh token
// (RFC 6749 section 6, OpenID Connect Core 12).

using System.Globalization;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace Monolith.SignIn;

public sealed class TokenRefresh(
    IOptionsMonitor<OpenIdConnectOptions> options, TimeProvider clock, ILogger<TokenRefresh> logger)
{
    private static readonly TimeSpan Margin = TimeSpan.FromMinutes(1);

    /// <summary>Runs for each request of a signed-in user, and nearly always has nothing to do.</summary>
    public async Task ValidateAsync(CookieValidatePrincipalContext context)
    {
        // The handler wrote it in this form beside the tokens.
        var text = context.Properties.GetTokenValue("expires_at");
        if (!DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out var expiresAt)
            || clock.GetUtcNow() + Margin < expiresAt)
        {
            return;
        }
        var refreshToken = context.Properties.GetTokenValue(OpenIdConnectParameterNames.RefreshToken);
        if (refreshToken is null)
        {
            return;
        }

        var provider = options.Get(OpenIdConnectDefaults.AuthenticationScheme);
        var cancellation = context.HttpContext.RequestAborted;
        OpenIdConnectMessage answer;
        try
        {
            var configuration = await provider.ConfigurationManager!.GetConfigurationAsync(cancellation);
            // Two requests may come here at once. Within its reuse window Hallpass gives both the same successor.
            using var response = await provider.Backchannel.PostAsync(
                configuration.TokenEndpoint,
                new FormUrlEncodedContent(new Dictionary<string, string?>
                {
                    [OpenIdConnectParameterNames.GrantType] = OpenIdConnectGrantTypes.RefreshToken,
                    [OpenIdConnectParameterNames.ClientId] = provider.ClientId,
                    [OpenIdConnectParameterNames.ClientSecret] = provider.ClientSecret,
                    [OpenIdConnectParameterNames.RefreshToken] = refreshToken,
                }),
                cancellation);
            answer = new OpenIdConnectMessage(await response.Content.ReadAsStringAsync(cancellation));
            if (answer.Error == "invalid_grant")
            {
                // Signed out, disabled, a changed password, or too long away. The session here ends with it.
                logger.LogInformation("a refresh was refused, and the session with it");
                context.RejectPrincipal();
                return;
            }
            if (!response.IsSuccessStatusCode)
            {
                logger.LogWarning("a refresh was answered {Status} {Error}", response.StatusCode, answer.Error);
                return;
            }
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException or ArgumentException)
        {
            // Not reached, too slow, or no JSON. The person stays signed in here; code that needs the access token finds
            // that it has expired.
            logger.LogWarning(error, "the provider cannot be asked for a refresh");
            return;
        }

        if (!await IsAboutTheSamePersonAsync(provider, answer.IdToken, context))
        {
            logger.LogError("the id_token of a refresh is not good, or is about another user");
            context.RejectPrincipal();
            return;
        }

        if (!int.TryParse(answer.ExpiresIn, NumberStyles.Integer, CultureInfo.InvariantCulture, out var seconds))
        {
            // A provider need not say it (RFC 6749 section 5.1).
            seconds = 300;
        }
        var next = clock.GetUtcNow().AddSeconds(seconds).ToString("o", CultureInfo.InvariantCulture);
        context.Properties.UpdateTokenValue(OpenIdConnectParameterNames.AccessToken, answer.AccessToken);
        context.Properties.UpdateTokenValue(OpenIdConnectParameterNames.IdToken, answer.IdToken);
        // The old one is spent.
        refreshToken = answer.RefreshToken ?? refreshToken;
        context.Properties.UpdateTokenValue(OpenIdConnectParameterNames.RefreshToken, refreshToken);
        context.Properties.UpdateTokenValue("expires_at", next);
        context.ShouldRenew = true;
    }

    /// <summary>OpenID Connect Core 12.2: iss, aud and sub as before. There is no nonce in a refreshed id_token.</summary>
    private static async Task<bool> IsAboutTheSamePersonAsync(
        OpenIdConnectOptions provider, string? idToken, CookieValidatePrincipalContext context)
    {
        var configuration =
            await provider.ConfigurationManager!.GetConfigurationAsync(context.HttpContext.RequestAborted);
        var parameters = provider.TokenValidationParameters.Clone();
        parameters.ValidIssuer = configuration.Issuer;
        parameters.IssuerSigningKeys = configuration.SigningKeys;
        var result = await new JsonWebTokenHandler().ValidateTokenAsync(idToken, parameters);
        return result.IsValid
            && result.SecurityToken is JsonWebToken token
            && token.Subject == context.Principal?.FindFirst("sub")?.Value;
    }
}
