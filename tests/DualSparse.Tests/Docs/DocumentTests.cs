using System.Text.RegularExpressions;

namespace DualSparse.Tests.Docs;

/// <summary>What the documents point at is there.</summary>
public partial class DocumentTests
{
    /// <summary>Every page of the repository: documents, cards, result pages.</summary>
    public static IEnumerable<string> All => Directory.GetFiles(TestPaths.InRepository(), "*.md", SearchOption.AllDirectories)
        .Select(file => Path.GetRelativePath(TestPaths.InRepository(), file).Replace('\\', '/'))
        .Where(file => !file.Split('/').Any(part => part is "bin" or "obj" or "shared" or "node_modules" || part.StartsWith('.')));

    public static TheoryData<string> Documents => [.. All];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Links_lead_to_files_that_hold_what_they_name(string document)
    {
        string path = TestPaths.InRepository(document);
        foreach (Match link in Links().Matches(File.ReadAllText(path)))
        {
            string[] parts = link.Groups["target"].Value.Split('#');
            string target = parts[0];
            if (target.Contains("://", StringComparison.Ordinal))
                continue;
            string file = target.Length == 0 ? path : Path.Combine(Path.GetDirectoryName(path)!, target);
            Assert.True(Path.Exists(file), $"{document} links to {target}");
            if (parts.Length > 1)
                Assert.Contains(parts[1], Anchors(File.ReadAllText(file)));
            // `Type.Member` names code: both stand in that file.
            if (!target.EndsWith(".cs", StringComparison.Ordinal) || Code().Match(link.Groups["text"].Value) is not { Success: true } code)
                continue;
            string source = File.ReadAllText(file);
            foreach (string name in code.Groups["name"].Value.Split('.'))
                Assert.Matches($@"\b{name}\b", source);
        }
    }

    // As GitHub makes them of headings: letters, digits and hyphens, of a link its text.
    private static IEnumerable<string> Anchors(string page) => Headings().Matches(page)
        .Select(heading => string.Concat(heading.Groups["title"].Value.ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_')).Replace(' ', '-'));

    [GeneratedRegex(@"(?m)^#+ (?<title>.*)$")]
    private static partial Regex Headings();

    [GeneratedRegex(@"\[(?<text>[^\]]*)\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Links();

    [GeneratedRegex(@"^`(?<name>[A-Z]\w*(\.[A-Z]\w*)?)`$", RegexOptions.ExplicitCapture)]
    private static partial Regex Code();
}
