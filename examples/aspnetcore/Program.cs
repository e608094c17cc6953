// Monolith: an ASP.NET Core MVC app whose people sign in at an OpenID Provider found by its discovery URL.
//
// SignIn/ has everything of OpenID Connect: the options of the handler, the sessions, the refresh of access tokens and
// the receiver of back-channel logouts. This file puts it together.

using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Monolith.SignIn;

var builder = WebApplication.CreateBuilder(args);

builder.Services.AddControllersWithViews();
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddSingleton<SessionStore>();
builder.Services.AddSingleton<TokenRefresh>();
builder.Services.AddSingleton<LogoutTokenValidator>();

builder.Services
    .AddAuthentication(options =>
    {
        // The cookie says who is signed in here; the provider is asked when no user is.
        options.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;
        options.DefaultChallengeScheme = OpenIdConnectDefaults.AuthenticationScheme;
    })
    .AddCookie(options =>
    {
        options.Cookie.Name = "__Host-monolith";
        options.Cookie.HttpOnly = true;
        options.Cookie.SecurePolicy = CookieSecurePolicy.Always;
        // Not Strict: the way back from the provider is a navigation that another site starts.
        options.Cookie.SameSite = SameSiteMode.Lax;
        options.ExpireTimeSpan = TimeSpan.FromHours(8);
        options.AccessDeniedPath = "/account/refused";
    })
    .AddOpenIdConnect(options => ProviderOptions.Configure(options, builder.Configuration, builder.Environment));

builder.Services
    .AddOptions<CookieAuthenticationOptions>(CookieAuthenticationDefaults.AuthenticationScheme)
    .Configure<SessionStore, TokenRefresh>((options, sessions, refresh) =>
    {
        options.SessionStore = sessions;
        options.Events.OnValidatePrincipal = refresh.ValidateAsync;
    });

var app = builder.Build();

if (!app.Environment.IsDevelopment())
{
    app.UseExceptionHandler("/account/failed");
    app.UseHsts();
}

app.UseHttpsRedirection();
app.UseRouting();
app.UseAuthentication();
app.UseAuthorization();
app.MapControllers();

app.Run();
