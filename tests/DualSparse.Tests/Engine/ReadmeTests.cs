using DualSparse.Engine;

#pragma warning disable xUnit1051 // The lines stand here as in the README.
namespace DualSparse.Tests.Engine;

/// <summary>The README's lines of C#, as they stand there; <see cref="ArchitectureTests"/> compares the two texts.</summary>
[Collection("alone")]
public class ReadmeTests
{
    [Fact]
    public void Lines_write_text()
    {
        string before = Environment.CurrentDirectory;
        var output = Console.Out;
        using var written = new StringWriter();
        try
        {
            Environment.CurrentDirectory = TestPaths.InRepository();
            Console.SetOut(written);
            using var model = MoeModel.Load("models/olmoe-mini");
            using var session = model.NewSession();
            session.Drop = new DropRequest { Rate = 0.25 };
            foreach (var token in session.Generate("Once upon a time"))
                Console.Write(token.Text);
        }
        finally
        {
            Console.SetOut(output);
            Environment.CurrentDirectory = before;
        }

        Assert.NotEmpty(written.ToString());
    }
}
