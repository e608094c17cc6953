// A page of the user: the settings guard all pages.
package hallpass.services;

import io.quarkus.oidc.IdToken;
import jakarta.inject.Inject;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import org.eclipse.microprofile.jwt.JsonWebToken;

@Path("/")
public class Service {
    @Inject
    @IdToken
    JsonWebToken user;

    @GET
    public String home() {
        return "Hello, " + user.getClaim("name");
    }
}
