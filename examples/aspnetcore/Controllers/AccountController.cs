using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;

namespace Monolith.Controllers;

public sealed class AccountController : Controller
{
    [AllowAnonymous]
    [HttpGet("/account/login")]
    public IActionResult Login(string? returnUrl) => Challenge(
        // A path of this app and nothing else, or it would lead people anywhere.
        new AuthenticationProperties { RedirectUri = Url.IsLocalUrl(returnUrl) ? returnUrl : "/" },
        OpenIdConnectDefaults.AuthenticationScheme);

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
