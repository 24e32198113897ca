using System.Security.Cryptography;

namespace DualSparse.Server;

/// <summary>Names for answers, calls and requests that nobody can guess.</summary>
internal static class Ids
{
    /// <summary>A new one.</summary>
    public static string New(string prefix) => prefix + RandomNumberGenerator.GetHexString(24, lowercase: true);
}
