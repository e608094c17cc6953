using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace Monolith.Controllers;

public sealed class AccountController(IOptionsMonitor<OpenIdConnectOptions> options) : Controller
{
    [AllowAnonymous]
    [HttpGet("/account/login")]
    public IActionResult Login(string? returnUrl) => Challenge(
        // A path of this app and nothing else, or it would lead people anywhere.
        new AuthenticationProperties { RedirectUri = Url.IsLocalUrl(returnUrl) ? returnUrl : "/" },
        OpenIdConnectDefaults.AuthenticationScheme);

    /// <summary>
    /// Registered as initiate_login_uri: the provider leads a person here who sat at its login page longer than the handler
    /// remembers what it asked for, 15 minutes (OpenID Connect Core 4).
    /// </summary>
    /// <remarks>
    /// It starts a sign-in at our own provider and at no other, and goes to our own home page: target_link_uri is not read.
    /// </remarks>
    [AllowAnonymous]
    [AcceptVerbs("GET", "POST", Route = "/account/initiate")]
    [IgnoreAntiforgeryToken]
    public async Task<IActionResult> Initiate(string? iss)
    {
        var provider = options.Get(OpenIdConnectDefaults.AuthenticationScheme);
        var configuration = await provider.ConfigurationManager!.GetConfigurationAsync(HttpContext.RequestAborted);
        return iss is not null && iss == configuration.Issuer ? Login("/") : Failed();
    }

    /// <summary>Ends the session here, then goes to the provider, with the id_token, to end it there as well.</summary>
    /// <remarks>Not only for people who are signed in: a session may have ended while its page was open.</remarks>
    [AllowAnonymous]
    [HttpPost("/account/logout")]
    [ValidateAntiForgeryToken]
    public IActionResult Logout() => SignOut(
        new AuthenticationProperties { RedirectUri = "/" },
        CookieAuthenticationDefaults.AuthenticationScheme,
        OpenIdConnectDefaults.AuthenticationScheme);

    [AllowAnonymous]
    [HttpGet("/account/refused")]
    public IActionResult Refused() => Message(StatusCodes.Status403Forbidden, "The sign-in was refused.");

    [AllowAnonymous]
    [Route("/account/failed")]
    public IActionResult Failed() =>
        Message(StatusCodes.Status400BadRequest, "The sign-in could not be completed. Please start again.");

    private ViewResult Message(int status, string message)
    {
        Response.StatusCode = status;
        return View("Message", message);
    }
}
