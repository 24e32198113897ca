using System.Runtime.InteropServices;
using System.Text;

namespace DualSparse.Tests.Text;

/// <summary>Oniguruma itself (by the package Onigwrap), as the tokenizers library sets it up: its default syntax and no options, but over UTF-16.</summary>
internal static class Oniguruma
{
    private const string Library = "libonigwrap";

    private static readonly Lazy<(nint Encoding, nint Syntax, string? Why)> Setup = new(Prepare);

    [StructLayout(LayoutKind.Sequential)]
    private struct Region
    {
        public int Allocated;
        public int Count;
        public nint Starts;
        public nint Ends;
        public nint History;
    }

    /// <summary>Why it can't be used here; null where it can.</summary>
    public static string? Unavailable => Setup.Value.Why;

    /// <summary>Every match of <paramref name="pattern"/>, in UTF-16 units; null where it is no pattern to Oniguruma, or takes it too long.</summary>
    public static List<(int Start, int End)>? Matches(string pattern, string text)
    {
        (nint encoding, nint syntax, _) = Setup.Value;
        byte[] source = [.. Encoding.Unicode.GetBytes(pattern), 0, 0];
        byte[] subject = [.. Encoding.Unicode.GetBytes(text), 0, 0];
        GCHandle sourcePin = GCHandle.Alloc(source, GCHandleType.Pinned);
        GCHandle subjectPin = GCHandle.Alloc(subject, GCHandleType.Pinned);
        nint region = onig_region_new();
        nint regex = 0;
        try
        {
            nint from = sourcePin.AddrOfPinnedObject();
            if (onig_new(out regex, from, from + source.Length - 2, 0, encoding, syntax, new byte[64]) != 0)
                return null;
            return Search(regex, subjectPin.AddrOfPinnedObject(), text, region);
        }
        finally
        {
            onig_free(regex);
            onig_region_free(region, 1);
            sourcePin.Free();
            subjectPin.Free();
        }
    }

    // An empty match where the last one ended doesn't count: the search goes on a character later.
    private static List<(int Start, int End)>? Search(nint regex, nint text, string characters, nint region)
    {
        List<(int, int)> matches = [];
        int end = 2 * characters.Length;
        int at = 0;
        int last = -1;
        while (at <= end)
        {
            nint found = onig_search(regex, text, text + end, text + at, text + end, region, 0);
            if (found < 0)
                return found == -1 ? matches : null;
            Region result = Marshal.PtrToStructure<Region>(region);
            (int start, int stop) = (Marshal.ReadInt32(result.Starts), Marshal.ReadInt32(result.Ends));
            if (start == stop && stop == last)
            {
                at += at < end && char.IsHighSurrogate(characters[at / 2]) ? 4 : 2;
                continue;
            }

            matches.Add((start / 2, stop / 2));
            at = last = stop;
        }

        return matches;
    }

    private static (nint Encoding, nint Syntax, string? Why) Prepare()
    {
        try
        {
            if (!NativeLibrary.TryLoad(Library, typeof(Oniguruma).Assembly, null, out nint library))
                return (0, 0, $"the native library {Library} isn't there for {RuntimeInformation.RuntimeIdentifier}");
            nint encoding = NativeLibrary.GetExport(library, "OnigEncodingUTF16_LE");
            nint syntax = Marshal.ReadIntPtr(NativeLibrary.GetExport(library, "OnigDefaultSyntax"));
            return onig_initialize([encoding], 1) == 0 ? (encoding, syntax, null) : (0, 0, $"{Library} doesn't start");
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException or BadImageFormatException)
        {
            return (0, 0, $"{Library}: {e.Message}");
        }
    }

    [DllImport(Library)]
    private static extern int onig_initialize(nint[] encodings, int count);

    [DllImport(Library)]
    private static extern int onig_new(out nint regex, nint pattern, nint end, uint options, nint encoding, nint syntax, byte[] error);

    [DllImport(Library)]
    private static extern int onig_search(nint regex, nint text, nint textEnd, nint start, nint range, nint region, uint options);

    [DllImport(Library)]
    private static extern void onig_free(nint regex);

    [DllImport(Library)]
    private static extern nint onig_region_new();

    [DllImport(Library)]
    private static extern void onig_region_free(nint region, int self);
}
