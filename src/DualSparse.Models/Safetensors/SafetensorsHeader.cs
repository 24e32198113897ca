using System.Text.Json;

namespace DualSparse.Models.Safetensors;

/// <summary>One tensor's place: element type, shape, and bytes [Begin, End) counted from the end of the header.</summary>
internal sealed record TensorEntry(string Name, TensorType Type, long[] Shape, long Begin, long End);

/// <summary>
/// The JSON object that opens a safetensors file, read and checked: names unique, sizes and offsets in agreement, tensors side by side
/// without overlap or hole up to the file's last byte.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>A header's largest length in bytes, as the format's reference implementation has it.</summary>
    public const long MaxBytes = 100_000_000;

    // Far above what any tensor needs; bounds what one bad shape can make us hold.
    private const int MaxRank = 64;

    private readonly string file;
    private readonly Dictionary<string, TensorEntry> tensors = new(StringComparer.Ordinal);
    private Dictionary<string, string>? metadata;

    private SafetensorsHeader(string file) => this.file = file;

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorEntry> Tensors => tensors;

    /// <summary>What stands under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => metadata ?? [];

    /// <summary>Checks the 8 bytes that open a file of <paramref name="fileLength"/> bytes and returns the header's length.</summary>
    /// <exception cref="ModelFormatException">The file is too short, or the header longer than the file or than the format allows.</exception>
    public static int CheckLength(ulong headerLength, long fileLength, string file)
    {
        if (headerLength > MaxBytes)
            throw new ModelFormatException($"{file}: the header claims {headerLength} bytes, expected at most {MaxBytes}: it is no safetensors file, or a damaged one; fetch it again");
        if ((long)headerLength > fileLength - 8)
            throw new ModelFormatException($"{file}: the header claims {headerLength} bytes, but only {fileLength - 8} follow its length: it is cut off, or no safetensors file; fetch it again");
        return (int)headerLength;
    }

    /// <summary>Parses the header's bytes; <paramref name="dataLength"/> bytes follow it in the file.</summary>
    /// <exception cref="ModelFormatException">Anything in it is not as the format asks.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long dataLength, string file)
    {
        Utf8Text.RequireValid(json, file, start: 8);
        if (json.IsEmpty || json[0] != (byte)'{')
            throw new ModelFormatException($"{file}: the header does not begin with '{{': it is no safetensors file, or a damaged one; fetch it again");
        var header = new SafetensorsHeader(file);
        try
        {
            header.ReadObject(json);
        }
        catch (JsonException e)
        {
            throw new ModelFormatException($"{file}: the header is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine})", e);
        }
        catch (InvalidOperationException e)
        {
            // What Utf8JsonReader.GetString says of an escape such as \ud800 that stands for no character.
            throw new ModelFormatException($"{file}: the header holds a string that is no valid text", e);
        }

        header.CheckLayout(dataLength);
        return header;
    }

    private void ReadObject(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            if (name == "__metadata__")
                ReadMetadata(ref reader);
            else if (!tensors.TryAdd(name, ReadTensor(ref reader, name)))
                throw new ModelFormatException($"{file}: tensor '{name}' is described twice");
        }

        reader.Read(); // past the end: anything but white space is an error
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (metadata is not null)
            throw new ModelFormatException($"{file}: __metadata__ stands in the header twice");
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new ModelFormatException($"{file}: __metadata__ is not an object");
        metadata = new(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw new ModelFormatException($"{file}: __metadata__ '{key}' is not a string");
            if (!metadata.TryAdd(key, reader.GetString()!))
                throw new ModelFormatException($"{file}: __metadata__ '{key}' stands there twice");
        }
    }

    private TensorEntry ReadTensor(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Bad(name, "its description is not an object");
        TensorType? type = null;
        long[]? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = reader.GetString()!;
            reader.Read();
            bool twice = field switch { "dtype" => type is not null, "shape" => shape is not null, _ => offsets is not null };
            switch (field)
            {
                case "dtype" or "shape" or "data_offsets" when twice:
                    throw Bad(name, $"'{field}' stands there twice");
                case "dtype":
                    if (reader.TokenType != JsonTokenType.String || !TensorTypes.TryParse(reader.GetString(), out var parsed))
                        throw Bad(name, $"dtype '{Text(ref reader)}' is unknown");
                    type = parsed;
                    break;
                case "shape":
                    shape = ReadNumbers(ref reader, name, field);
                    break;
                case "data_offsets":
                    offsets = ReadNumbers(ref reader, name, field);
                    break;
                default:
                    throw Bad(name, $"field '{field}' is unknown");
            }
        }

        if (type is null || shape is null || offsets is null)
            throw Bad(name, $"'{(type is null ? "dtype" : shape is null ? "shape" : "data_offsets")}' is missing");
        if (offsets.Length != 2)
            throw Bad(name, $"data_offsets holds {offsets.Length} numbers, expected 2");
        if (offsets[1] < offsets[0])
            throw Bad(name, $"data_offsets end at {offsets[1]}, before their start at {offsets[0]}");
        return new TensorEntry(name, type.Value, shape, offsets[0], offsets[1]);
    }

    private long[] ReadNumbers(ref Utf8JsonReader reader, string name, string field)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Bad(name, $"'{field}' is not a list of numbers");
        var numbers = new List<long>(4);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number) || number < 0)
                throw Bad(name, $"'{field}' holds {Text(ref reader)}, expected whole numbers from 0 to {long.MaxValue}");
            if (numbers.Count == MaxRank)
                throw Bad(name, $"'{field}' holds more than {MaxRank} numbers");
            numbers.Add(number);
        }

        return [.. numbers];
    }

    private void CheckLayout(long dataLength)
    {
        var inOrder = tensors.Values.ToArray();
        Array.Sort(inOrder, (a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.End.CompareTo(b.End));
        long end = 0;
        string before = "the header";
        foreach (var tensor in inOrder)
        {
            CheckSize(tensor);
            if (tensor.End > dataLength)
                throw Bad(tensor.Name, $"its data end at byte {tensor.End}, but the file has only {dataLength} bytes of data (is it truncated?)");
            if (tensor.Begin < end)
                throw Bad(tensor.Name, $"its data start at byte {tensor.Begin} and overlap {before}, which ends at {end}");
            if (tensor.Begin > end)
                throw Bad(tensor.Name, $"its data start at byte {tensor.Begin}, leaving a hole after {before}, which ends at {end}");
            (end, before) = (tensor.End, $"'{tensor.Name}'");
        }

        if (end != dataLength)
            throw new ModelFormatException($"{file}: {dataLength - end} bytes follow the last tensor, expected none");
    }

    private void CheckSize(TensorEntry tensor)
    {
        // Zeros are left out of the product: a row's length must be a sane number even where there are no rows.
        UInt128 bits = (UInt128)tensor.Type.Bits();
        foreach (long size in tensor.Shape)
        {
            bits *= (UInt128)Math.Max(size, 1);
            if (bits > long.MaxValue)
                throw Bad(tensor.Name, $"its shape {Shapes.Show(tensor.Shape)} is larger than any file");
        }

        if (tensor.Shape.Contains(0))
            bits = 0;
        if (bits % 8 != 0)
            throw Bad(tensor.Name, $"its shape {Shapes.Show(tensor.Shape)} of {tensor.Type.HeaderName()} does not fill whole bytes");
        if (bits / 8 != (UInt128)(tensor.End - tensor.Begin))
            throw Bad(tensor.Name, $"shape {Shapes.Show(tensor.Shape)} of {tensor.Type.HeaderName()} needs {bits / 8} bytes, data_offsets hold {tensor.End - tensor.Begin}");
    }

    private ModelFormatException Bad(string tensor, string what) => new($"{file}: tensor '{tensor}': {what}");

    // The offending token for a message, cut where it is long.
    private static string Text(ref Utf8JsonReader reader)
    {
        var bytes = reader.ValueSpan;
        string text = System.Text.Encoding.UTF8.GetString(bytes[..Math.Min(bytes.Length, 40)]);
        return bytes.Length > 40 ? text + "…" : text;
    }
}
