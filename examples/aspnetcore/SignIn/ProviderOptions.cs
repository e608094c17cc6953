// How the OpenID Connect handler of ASP.NET Core is set up. What it does with this on the wire is replayed by the test
// tests/spec/example_aspnetcore.rs of Hallpass.

using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace Monolith.SignIn;

public static class ProviderOptions
{
    public static void Configure(
        OpenIdConnectOptions options, IConfiguration configuration, IWebHostEnvironment environment)
    {
        var provider = configuration.GetRequiredSection("Provider");

        // Everything else about the provider comes from Authority/.well-known/openid-configuration.
        options.Authority = provider["Authority"];
        options.ClientId = provider["ClientId"];
        // From the user secrets in development and from the environment (Provider__ClientSecret) in production; never
        // from a file that is checked in.
        options.ClientSecret = provider["ClientSecret"];
        // Over plain http an attacker on the way reads tokens: only within one machine.
        options.RequireHttpsMetadata = !environment.IsDevelopment();

        // The code flow with PKCE. form_post keeps the code out of addresses, histories and logs.
        options.ResponseType = OpenIdConnectResponseType.Code;
        options.ResponseMode = OpenIdConnectResponseMode.FormPost;
        options.UsePkce = true;

        // Registered as redirect_uri and post_logout_redirect_uri, byte for byte.
        options.CallbackPath = "/signin-oidc";
        options.SignedOutCallbackPath = "/signout-callback-oidc";
        options.SignedOutRedirectUri = "/";
        options.AccessDeniedPath = "/account/refused";

        options.Scope.Clear();
        foreach (var scope in provider["Scope"]!.Split(' '))
        {
            options.Scope.Add(scope);
        }

        // The id_token says who it is; name and e-mail come from userinfo, whose sub the handler compares.
        options.GetClaimsFromUserInfoEndpoint = true;
        // Claims keep the names that the specification gives them: sub, and not a URL of schemas.xmlsoap.org.
        options.MapInboundClaims = false;
        options.TokenValidationParameters.NameClaimType = "name";
        // What [Authorize(Roles = …)] looks at: the claim that the client's row maps roles to, each of a list by itself.
        options.TokenValidationParameters.RoleClaimType = "role";
        // What the client's row says (id_token_signed_response_alg), not what a token says.
        options.TokenValidationParameters.ValidAlgorithms = new[] { SecurityAlgorithms.RsaSha256 };
        options.TokenValidationParameters.ValidAudience = options.ClientId;

        // id_token for the sign-out, access and refresh token for APIs. They are stored in the session store, not in a cookie.
        options.SaveTokens = true;

        options.Events.OnRemoteFailure = context =>
        {
            // An old tab, a second click, a provider that is away: a page, and the reason in the log.
            var logger = context.HttpContext.RequestServices.GetRequiredService<ILogger<OpenIdConnectHandler>>();
            logger.LogWarning(context.Failure, "a sign-in failed");
            context.HandleResponse();
            context.Response.Redirect("/account/failed");
            return Task.CompletedTask;
        };
    }
}
