using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;

namespace Monolith.Controllers;

public sealed class HomeController : Controller
{
    [AllowAnonymous]
    [HttpGet("/")]
    public IActionResult Index() => View();

    /// <summary>For people who are signed in; others are sent to the provider and come back to this page.</summary>
    [Authorize]
    [HttpGet("/profile")]
    public IActionResult Profile() => View();

    /// <summary>For people with the role clerk; others who are signed in are told that they may not see it.</summary>
    [Authorize(Roles = "clerk")]
    [HttpGet("/accounts")]
    public IActionResult Accounts() => View();
}
