using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Evaluation.Tasks;

/// <summary>A picture of a row: a file beside the task's, or an address that holds it. It is read when its row's turn comes.</summary>
/// <param name="Address">As the row has it.</param>
/// <param name="Folder">Where files are looked for.</param>
/// <param name="Where">What messages call its place: file, line, field.</param>
internal sealed record TaskPicture(string Address, string Folder, string Where)
{
    /// <summary>The most pictures of a row, as in a conversation.</summary>
    public const int Most = 64;

    /// <summary>Takes it from a row.</summary>
    /// <exception cref="ModelFormatException">It is no text.</exception>
    /// <exception cref="PictureException">It is an address on the web, or there is no such file.</exception>
    public static TaskPicture Of(JsonField field, string folder)
    {
        var picture = new TaskPicture(field.AsText(), folder, $"{field.File}: '{field.Path}'");
        DataUri.RefuseWeb(picture.Address, picture.Where);
        return picture.IsFile && !File.Exists(picture.Path)
            ? throw new PictureException($"{picture.Where} is '{JsonField.Shorten(picture.Address)}', and there is no such file: expected one in the folder of the task's file, or 'data:image/png;base64,…'")
            : picture;
    }

    /// <summary>Reads it as a model does.</summary>
    /// <exception cref="PictureException">It can't be read, is damaged or too large, or of a kind that isn't read.</exception>
    public PicturePatches Read(PictureProcessor processor)
    {
        string name = IsFile ? $"{Where}, {Address}" : Where;
        return processor.Patches(PictureFile.Decode(IsFile ? PictureFile.ReadBytes(Path) : DataUri.Read(Address, Where), name), name);
    }

    private bool IsFile => !DataUri.Is(Address);

    private string Path => System.IO.Path.Combine(Folder, Address);
}
