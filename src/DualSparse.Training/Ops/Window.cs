namespace DualSparse.Training.Ops;

/// <summary>Neighbouring rows that see one another and no others: a text, or a picture's patches.</summary>
/// <param name="First">The first row.</param>
/// <param name="Count">How many.</param>
internal readonly record struct Window(int First, int Count);
