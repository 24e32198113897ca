using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace DualSparse.Server;

/// <summary>Whether a request carries one of the server's keys, as a bearer's or as X-Api-Key.</summary>
internal sealed class Keys
{
    private const string Scheme = "Bearer ";

    // Compared by their hashes, which have one length: the time of a comparison tells nothing.
    private readonly byte[][] hashes;

    /// <summary>Takes the keys; none: every request is let in.</summary>
    public Keys(IEnumerable<string> keys) => hashes = [.. keys.Select(Hash)];

    /// <summary>Lets a request in.</summary>
    /// <exception cref="ApiException">It carries no key, or another.</exception>
    public void Check(HttpRequest request)
    {
        if (hashes.Length == 0)
            return;
        string? given = Given(request);
        if (given is null || !Known(Hash(given)))
            throw Errors.Unauthorized(given is not null);
    }

    private static string? Given(HttpRequest request)
    {
        string? bearer = request.Headers.Authorization;
        if (bearer?.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) == true)
            return bearer[Scheme.Length..].Trim();
        return request.Headers["X-Api-Key"] is [{ } key] ? key : null;
    }

    private bool Known(byte[] hash)
    {
        bool known = false;
        foreach (byte[] one in hashes)
            known |= CryptographicOperations.FixedTimeEquals(one, hash);
        return known;
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
